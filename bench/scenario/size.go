package scenario

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"lastseen/bench/dataset"
	"lastseen/bench/record"
)

const (
	mostBytesAPoint = 9.0
	sizeSessions    = 1000
	sizePoints      = 1000 // of each session
)

// size measures what a point takes on the disk, column by column, beside the same points in PostgreSQL: for
// the simulated fleet, every column of which is filled, and for the data directories that Settings.SizeDirs
// names, into which something was imported and which no service has open.
type size struct {
	*Stage
	o *record.Outcome

	postgres string // its address, empty where it is not installed
}

// Run implements Runner.
func (s *size) Run(ctx context.Context) (err error) {
	fleet := s.spec
	fleet.Sessions, fleet.PointsPerSession = min(sizeSessions, fleet.Sessions), sizePoints
	if err := s.rig.Load(ctx, "size", fleet); err != nil {
		return err
	}
	database, absent, err := s.rig.StartDatabase(ctx, "size-postgres")
	if err != nil {
		return err
	}
	if absent == "" {
		defer func() { err = errors.Join(err, database.Stop()) }()
		s.postgres = database.URL
		s.o.Versions = append(s.o.Versions, database.Version)
	} else {
		s.o.Note("Left out: PostgreSQL (" + absent + ").")
	}
	s.o.Describe(fmt.Sprintf("the fleet: %s sessions of %s points, every column filled", record.Thousands(float64(fleet.Sessions)), record.Thousands(sizePoints)),
		"after all merges; PostgreSQL with an index on (session_id, timestamp desc), after VACUUM")
	if err := s.measure(ctx, "fleet", s.rig.Store("size")); err != nil {
		return err
	}
	for _, dir := range s.SizeDirs { // the embedded engine's, wherever the fleet is
		if err := s.measure(ctx, filepath.Base(dir), dataset.Store{DataDir: dir}); err != nil {
			return err
		}
	}
	found := s.o.Figures["fleet_bytes_per_point"]
	s.o.Judge("bytes a point of the fleet", fmt.Sprintf("at most %.0f", mostBytesAPoint), fmt.Sprintf("%.2f", found), found <= mostBytesAPoint)
	return nil
}

// measure measures the points of one store.
func (s *size) measure(ctx context.Context, name string, store dataset.Store) error {
	s.rig.Say("measuring %s", name)
	sizes, err := s.rig.MeasureSizes(ctx, "size", store, s.postgres)
	if err != nil {
		return err
	}
	if sizes.Points == 0 {
		return fmt.Errorf("the data directory %s holds no data points", store.DataDir)
	}
	points := float64(sizes.Points)
	each := func(bytes int64, decimals int) string { return fmt.Sprintf("%.*f", decimals, float64(bytes)/points) }
	table := record.Table{
		Title: fmt.Sprintf("%s: %s points, bytes a point", name, record.Thousands(points)), Header: []string{"", "bytes a point"},
		Rows: [][]string{{"**lastseen**, all", each(sizes.Bytes, 2)}},
	}
	for _, column := range sizes.Columns {
		table.Rows = append(table.Rows, []string{"  " + column.Name, each(column.Bytes, 2)})
	}
	s.o.Figure(name+"_bytes_per_point", float64(sizes.Bytes)/points)
	if s.postgres != "" {
		table.Rows = append(table.Rows, []string{"PostgreSQL, table and index", each(sizes.PostgresTable+sizes.PostgresIndex, 1)},
			[]string{"PostgreSQL, table alone", each(sizes.PostgresTable, 1)})
		s.o.Figure(name+"_postgres_bytes_per_point", float64(sizes.PostgresTable+sizes.PostgresIndex)/points)
	}
	s.o.Add(table)
	return nil
}
