package dataset

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/schema"
)

// rowsPerInsert bounds the memory that loading takes.
const rowsPerInsert = 100_000

// Load writes the data set into a store, as the service would have: devices, sessions, points and the
// last_seen checkpoint. Through the public routes, a row a request, a million sessions would take hours.
func Load(ctx context.Context, into *Opened, s Spec) error {
	db, conn := into.DB, into.Conn
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	created := s.createdAt()
	err := insertStructs(ctx, conn, "devices", s.Sessions, func(i int) any {
		return &schema.Device{ID: s.DeviceID(i), OrgID: s.OrgID(s.Organisation(i)), MACAddress: s.MAC(i), CreatedAt: created}
	})
	if err != nil {
		return err
	}
	err = insertStructs(ctx, conn, "sessions", s.Sessions, func(i int) any {
		return s.Session(i)
	})
	if err != nil {
		return err
	}
	if err := loadPoints(ctx, db, s); err != nil {
		return err
	}
	if err := loadCheckpoints(ctx, db, s); err != nil || !s.Merged {
		return err
	}
	for _, table := range []string{"session_by_device_data_points", "session_by_device_last_seen"} {
		if err := conn.Exec(ctx, "OPTIMIZE TABLE "+table+" FINAL"); err != nil {
			return fmt.Errorf("merge the table %s: %w", table, err)
		}
	}
	return nil
}

// insertStructs writes n rows by the `ch` tags of what row returns.
func insertStructs(ctx context.Context, conn driver.Conn, table string, n int, row func(i int) any) error {
	for from := 0; from < n; from += rowsPerInsert {
		batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+table)
		if err != nil {
			return fmt.Errorf("load the table %s: %w", table, err)
		}
		for i := from; i < min(from+rowsPerInsert, n); i++ {
			if err := batch.AppendStruct(row(i)); err != nil {
				return fmt.Errorf("load the table %s: %w", table, err)
			}
		}
		if err := batch.Send(); err != nil {
			return fmt.Errorf("load the table %s: %w", table, err)
		}
	}
	return nil
}

func loadPoints(ctx context.Context, db *schema.DB, s Spec) error {
	points := make([]schema.OwnedPoint, 0, rowsPerInsert)
	for n := range s.Sessions * s.PointsPerSession {
		session, number := n/s.PointsPerSession, n%s.PointsPerSession
		if s.ByArrival {
			session, number = n%s.Sessions, n/s.Sessions
		}
		points = points[:len(points)+1]
		s.OwnedPoint(session, number, &points[len(points)-1])
		if len(points) < rowsPerInsert {
			continue
		}
		if err := db.InsertDataPoints(ctx, points); err != nil {
			return err
		}
		points = points[:0]
	}
	return db.InsertDataPoints(ctx, points)
}

func loadCheckpoints(ctx context.Context, db *schema.DB, s Spec) error {
	rows := make([]schema.Checkpoint, 0, min(rowsPerInsert, s.Sessions))
	for from := 0; from < s.Sessions; from += rowsPerInsert {
		rows = rows[:0]
		for i := from; i < min(from+rowsPerInsert, s.Sessions); i++ {
			var c schema.Checkpoint
			s.Point(i, s.PointsPerSession-1, &c.Point)
			c.NewestTimestamp = c.Point.Timestamp
			rows = append(rows, c)
		}
		// The watermark says: received before this is in the checkpoint. All points are older.
		if err := db.SaveCheckpoints(ctx, rows, 1, s.NewestAt+2000); err != nil {
			return err
		}
	}
	return nil
}
