package server

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/keys"
	"lastseen/schema"
	"lastseen/server/caller"
	"lastseen/server/problem"
)

const (
	pathApps = "/tracking/timeseries/session_by_device/ingest/"
	// credentialSegment ends the path of an app that can set no header.
	credentialSegment = "/{" + caller.PathCredential + "}"
)

// appMethods are the apps, and the methods with which each sends positions.
var appMethods = []struct {
	app     decode.App
	summary string
	methods []string
}{
	{decode.OwnTracks, "Take a message of OwnTracks (HTTP mode)", []string{fasthttp.MethodPost}},
	{decode.Overland, "Take a batch of Overland", []string{fasthttp.MethodPost}},
	{decode.OsmAnd, "Take a position of OsmAnd's online tracking", []string{fasthttp.MethodGet, fasthttp.MethodPost}},
	{decode.TraccarClient, "Take a position of Traccar Client", []string{fasthttp.MethodGet, fasthttp.MethodPost}},
	{decode.GPSLogger, "Take a position of GPSLogger for Android", []string{fasthttp.MethodGet, fasthttp.MethodPost}},
	{decode.Traccar, "Take a position that a Traccar server forwards", []string{fasthttp.MethodPost}},
}

// appRoutes are the routes of the apps: the path says the app, so that units and answers are known and
// never guessed.
func appRoutes() (table []route) {
	for _, a := range appMethods {
		for _, method := range a.methods {
			for _, segment := range []string{"", credentialSegment} {
				table = append(table, route{
					method: method, path: pathApps + string(a.app) + "/v1" + segment, summary: a.summary,
					Access:    caller.Access{Role: keys.RoleDriver, DeviceCredentials: true, Apps: true},
					codeInURL: true, body: appBody, bodyLimit: decode.MaxBytes, timeout: 2 * time.Minute, handle: ingestApp(a.app),
				})
			}
		}
	}
	return table
}

// takesPoints reports whether a route's body holds points.
func (r *route) takesPoints() bool { return r.body == pointsBody || r.body == appBody }

// withoutCredential is the path in the table of an app's path that ends with a credential.
func withoutCredential(path string) string {
	if !strings.HasPrefix(path, pathApps) {
		return ""
	}
	return path[:strings.LastIndexByte(path, '/')] + credentialSegment
}

// ingestApp takes what an app sends, and says what makes the app forget it once ClickHouse has the
// points. It says so too when some of them, or all, can never be taken: an app that heard of a refusal
// would send them for ever, and nothing after them.
func ingestApp(app decode.App) func(*call) error {
	return func(c *call) error {
		c.http.Response.Header.Set("Referrer-Policy", "no-referrer")
		if c.http.IsHead() {
			return nil // what looks at an address means nothing by it
		}
		batch, reply, err := readMessage(c, app)
		if err != nil {
			return err
		}
		dropped, rolled, unreadable := batch.Dropped, batch.Rolled, batch.Unreadable
		full, err := introduce(c, batch)
		if err != nil {
			batch.Release()
			return err
		}
		c.span.note("decoded")
		by := registry.Caller{OrgID: c.principal.OrgID, DeviceID: c.principal.DeviceID}
		result, err := c.server.services.Writer.Ingest(c.context(), by, batch)
		if err != nil {
			return err
		}
		for i := range result.Rejected {
			if full != "" && result.Rejected[i].Detail == registry.DetailNoMAC {
				result.Rejected[i].Detail = full
			}
		}
		c.server.arrivals.note(c.principal, &result, unreadable, time.Now())
		noteMessage(c, app, result.Rejected, dropped, rolled, unreadable)
		switch reply {
		case decode.ReplyArray:
			c.reply(fasthttp.StatusOK, []byte("[]"))
		case decode.ReplyOK:
			c.reply(fasthttp.StatusOK, []byte(`{"result":"ok"}`))
		default:
			c.http.Response.Header.SetNoDefaultContentType(true)
		}
		return nil
	}
}

// introduce registers the devices of a batch that nobody knows, where the credential may. Of an organisation that has as
// many as it may, it returns the sentence that says so: these positions cannot be taken, and must not keep others back.
func introduce(c *call, batch *decode.Batch) (full string, err error) {
	if !c.principal.RegistersDevices {
		return "", nil
	}
	for _, name := range batch.Names {
		err := c.server.services.Registry.Introduce(c.context(), c.principal.OrgID, name)
		var quota *schema.Error
		if errors.Is(err, schema.Conflict) && errors.As(err, &quota) {
			full = quota.Sentence
		} else if err != nil {
			return "", err
		}
	}
	return full, nil
}

// readMessage reads what the app sends into points.
func readMessage(c *call, app decode.App) (*decode.Batch, decode.Reply, error) {
	memory := int64(c.http.Request.Header.ContentLength())
	if memory < 0 {
		memory = c.route.bodyLimit // nobody knows yet
	}
	budget, err := setAside(c, memory)
	if err != nil {
		return nil, 0, err
	}
	defer budget.Release(memory)
	body, err := readWhole(c)
	if err != nil {
		return nil, 0, err
	}
	header := &c.http.Request.Header
	message := decode.Message{
		Body: body, User: string(header.Peek("X-Limit-U")), Device: string(header.Peek("X-Limit-D")),
		Bound: c.principal.DeviceID, Now: time.Now(),
		Parameter: func(name string) string { return string(c.http.QueryArgs().Peek(name)) },
	}
	batch, reply, err := decode.AppMessage(app, &message, budget)
	var refusal *schema.Error
	if errors.Is(err, schema.Invalid) && errors.As(err, &refusal) {
		return nil, 0, &problem.Problem{Status: fasthttp.StatusBadRequest, Detail: refusal.Sentence}
	}
	return batch, reply, err
}

// readWhole reads the body, into memory of its length where that is announced.
func readWhole(c *call) ([]byte, error) {
	length := c.http.Request.Header.ContentLength()
	if length < 0 {
		return io.ReadAll(c.body())
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(c.body(), body); err != nil {
		return nil, err
	}
	c.reader.ended = true
	return body, nil
}

// noteMessage logs what an app is not told: that not all of its message was taken. The sentences hold
// nothing of the message.
func noteMessage(c *call, app decode.App, rejected []decode.Rejection, dropped, rolled, unreadable int) {
	if len(rejected)+rolled+unreadable == 0 {
		return
	}
	detail := ""
	if len(rejected) > 0 {
		detail = rejected[0].Detail
	}
	c.server.config.Logger.Info("an app's message was not taken as it is", "app", string(app), "request_id", string(c.id.bytes()), "org_id", c.principal.OrgID,
		"rejected", len(rejected), "why", detail, "dropped_values", dropped, "weeks_corrected", rolled, "encrypted", unreadable)
}
