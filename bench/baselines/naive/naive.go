// Package naive is the service that one would write in an afternoon, and the yardstick for ClickHouse itself.
package naive

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/valyala/fasthttp"

	"lastseen/bench/baseline"
	"lastseen/bench/dataset"
	"lastseen/schema"
)

// connections is how many statements it has at a time, which is the engine's own default.
const connections = 8

// Service is the naive one: the same tables on the same ClickHouse, a query for the key and a query for the
// point, rows scanned into structs, encoding/json. It is safe for concurrent use.
type Service struct {
	store   *dataset.Opened
	db      *schema.DB
	conn    driver.Conn
	dataset dataset.Spec
}

// Open opens the store and, unless that is done, fills it with the data set and the keys. The caller closes
// the service.
func Open(ctx context.Context, config baseline.Config) (*Service, error) {
	store, err := config.Store.Open(ctx, connections)
	if err != nil {
		return nil, err
	}
	n := &Service{store: store, db: store.DB, conn: store.Conn, dataset: config.Dataset}
	if !config.Loaded {
		if err := n.load(ctx, config.Keys); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n, nil
}

func (n *Service) load(ctx context.Context, keys [][]string) error {
	if err := dataset.Load(ctx, n.store, n.dataset); err != nil {
		return err
	}
	now := time.Now()
	for organisation, texts := range keys {
		for _, text := range texts {
			err := n.db.InsertAPIKey(ctx, schema.APIKey{
				Hash: sha256.Sum256([]byte(text)), ID: schema.NewID(), Kind: schema.KindAPIKey,
				OrgID: n.dataset.OrgID(organisation), Name: "bench", CreatedAt: now, ExpiresAt: now.Add(24 * time.Hour),
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Close closes the store.
func (n *Service) Close() error { return n.store.Close() }

// Handle routes: the public route of last_seen, and the yardsticks for histories and inserts.
func (n *Service) Handle(c *fasthttp.RequestCtx) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	var err error
	switch string(c.Path()) {
	case "/readyz": // with the engine's version
		var version string
		err = n.conn.QueryRow(ctx, "SELECT version()").Scan(&version)
		c.SetBodyString(version)
	case "/tracking/timeseries/session_by_device/last_seen/v1":
		err = n.lastSeen(ctx, c)
	case "/json_each_row":
		n.streamEngine(ctx, cancel, c)
		return
	case "/scan":
		n.streamScan(ctx, cancel, c)
		return
	case "/bare_query":
		err = n.timeQuery(ctx, c)
	case "/insert":
		err = n.timeInserts(ctx, c)
	default:
		c.SetStatusCode(fasthttp.StatusNotFound)
	}
	cancel()
	if err != nil {
		c.Error(err.Error(), fasthttp.StatusInternalServerError)
	}
}

// row is a data point as the driver scans it.
type row struct {
	SessionID   string    `ch:"session_id"`
	Timestamp   time.Time `ch:"timestamp"`
	ReceivedAt  time.Time `ch:"received_at"`
	Latitude    int32     `ch:"latitude"`
	Longitude   int32     `ch:"longitude"`
	Altitude    int32     `ch:"altitude"`
	Accuracy    uint32    `ch:"accuracy"`
	Speed       uint16    `ch:"speed"`
	Heading     uint16    `ch:"heading"`
	Temperature float32   `ch:"temperature"`
	Battery     uint16    `ch:"battery"`
	Outlier     uint8     `ch:"outlier"`
	Version     uint32    `ch:"version"`
}

// dataPoint is a data point as encoding/json writes it.
type dataPoint struct {
	ID            string    `json:"_id"`
	Timestamp     time.Time `json:"timestamp"`
	ReceivedAt    time.Time `json:"received_at_timestamp"`
	SchemaVersion int       `json:"schema_version"`
	Temperature   float32   `json:"temperature"`
	Location      struct {
		Type     string `json:"type"`
		Geometry struct {
			Type        string     `json:"type"`
			Coordinates [3]float64 `json:"coordinates"`
		} `json:"geometry"`
		Properties struct {
			Accuracy float64 `json:"accuracy"`
			Speed    float64 `json:"speed"`
			Heading  float64 `json:"heading"`
			Battery  float64 `json:"battery"`
		} `json:"properties"`
	} `json:"location"`
	Metadata struct {
		SessionID string `json:"session_id"`
		Outlier   bool   `json:"outlier"`
		Paused    bool   `json:"paused"`
	} `json:"metadata"`
}

func (r *row) point() (p dataPoint) {
	p.ID = fmt.Sprintf("%s.%d", r.SessionID, r.Timestamp.UnixMilli())
	p.Timestamp, p.ReceivedAt, p.SchemaVersion, p.Temperature = r.Timestamp, r.ReceivedAt, 1, r.Temperature
	p.Location.Type, p.Location.Geometry.Type = "Feature", "Point"
	p.Location.Geometry.Coordinates = [3]float64{float64(r.Longitude) / 1e7, float64(r.Latitude) / 1e7, float64(r.Altitude) / 10}
	p.Location.Properties.Accuracy, p.Location.Properties.Speed = float64(r.Accuracy)/10, float64(r.Speed)/100
	p.Location.Properties.Heading, p.Location.Properties.Battery = float64(r.Heading)/10, float64(r.Battery)/10000
	p.Metadata.SessionID, p.Metadata.Outlier = r.SessionID, r.Outlier != 0
	return p
}

// lastSeen looks the key up, then the session's newest point.
func (n *Service) lastSeen(ctx context.Context, c *fasthttp.RequestCtx) error {
	text := string(c.Request.Header.Peek(fasthttp.HeaderAuthorization))
	if len(text) < len("Bearer ") {
		c.SetStatusCode(fasthttp.StatusUnauthorized)
		return nil
	}
	key, found, err := n.db.FindAPIKey(ctx, sha256.Sum256([]byte(text[len("Bearer "):])))
	if err != nil {
		return err
	}
	if !found || !key.RevokedAt.IsZero() || time.Now().After(key.ExpiresAt) {
		c.SetStatusCode(fasthttp.StatusUnauthorized)
		return nil
	}
	rows, err := n.conn.Query(ctx, "SELECT "+baseline.Columns+` FROM session_by_device_data_points
WHERE session_id = {session:String} AND org_id = {org:String} AND outlier = 0 ORDER BY timestamp DESC LIMIT 1`,
		clickhouse.Named("session", string(c.QueryArgs().Peek("session_id"))), clickhouse.Named("org", key.OrgID))
	if err != nil {
		return fmt.Errorf("find the newest point: %w", err)
	}
	defer rows.Close()
	if !rows.Next() {
		c.SetStatusCode(fasthttp.StatusNotFound)
		return rows.Err()
	}
	var r row
	if err := rows.ScanStruct(&r); err != nil {
		return fmt.Errorf("scan the newest point: %w", err)
	}
	c.SetContentType("application/json")
	return json.NewEncoder(c).Encode(r.point())
}
