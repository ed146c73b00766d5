package schema

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// ExportFormat is a file format in which ClickHouse itself writes data points.
type ExportFormat string

// The formats of an export.
const (
	ExportParquet ExportFormat = "Parquet"
	ExportArrow   ExportFormat = "ArrowStream"
)

// Export says which data points are written, and how.
type Export struct {
	Session ID
	Format  ExportFormat
	// ArrowCompression is how an Arrow stream is compressed within: lz4, zstd, or empty for not at all.
	ArrowCompression string
	// Start <= timestamp < End, Unix milliseconds.
	Start, End int64
	// BucketSeconds is the length of the buckets of which only the newest non-outlier point is
	// wanted, or 0 for every point.
	BucketSeconds int
	// Arrivals, when it is not nil, says which points are wanted in place of Session, Start, End and
	// BucketSeconds; they come in the order of their arrival.
	Arrivals *Arrivals
	// MaxRows is the most rows that the file may have, or 0 for no bound.
	MaxRows int64
}

// ErrTooManyRows means that a result has more rows than it may. ClickHouse notices when it comes to the
// first row too many, so that a part of the result may have been read by then.
var ErrTooManyRows = errors.New("the result has too many rows")

// codeTooManyRows is ClickHouse's TOO_MANY_ROWS_OR_BYTES, which is what passing max_result_rows throws.
const codeTooManyRows = 396

func tooManyRows(err error) bool { return hasCode(err, codeTooManyRows) }

// exporting are the settings of an export beside those of streaming: row groups of a size that keeps what
// ClickHouse holds back small, no Bloom filters, which it would hold back to the end, and no dictionaries
// of columns in which most values differ: without these a file is a quarter smaller and done sooner.
var exporting = clickhouse.Settings{
	"output_format_parquet_row_group_size": 16_384, "output_format_parquet_parallel_encoding": 0,
	"output_format_parquet_write_bloom_filter": 0, "output_format_parquet_max_dictionary_size": 65_536,
}

// arrowMethods are ClickHouse's words for how an Arrow stream is compressed.
var arrowMethods = map[string]string{"": "none", "lz4": "lz4_frame", "zstd": "zstd"}

// exportSelect turns rows p into columns for people: degrees, metres, metres a second, degrees, degrees
// Celsius, parts of full; NULL where the device sent nothing.
const exportSelect = `SELECT
  concat(p.session_id, '.', toString(toUnixTimestamp64Milli(p.timestamp))) AS _id, p.session_id AS session_id,
  p.timestamp AS timestamp, p.received_at AS received_at_timestamp, p.latitude / 1e7 AS latitude, p.longitude / 1e7 AS longitude,
  nullIf(p.altitude, -2147483648) / 10 AS altitude, nullIf(p.accuracy, 4294967295) / 10 AS accuracy,
  nullIf(p.speed, 65535) / 100 AS speed, nullIf(p.heading, 65535) / 10 AS heading,
  if(isFinite(p.temperature), p.temperature, NULL) AS temperature, nullIf(p.battery, 65535) / 10000 AS battery,
  CAST(p.outlier != 0, 'Bool') AS outlier
FROM `

// exportColumns are the columns of the rows p.
const exportColumns = "session_id, timestamp, received_at, latitude, longitude, altitude, accuracy, speed, heading, temperature, battery, outlier"

// receivedRows returns the select of arrivals, given all that follows its select list: each place in that order once.
func receivedRows(from string) string {
	return exportSelect + "(SELECT " + exportColumns + from + `
  ORDER BY received_at, session_id, timestamp, version DESC LIMIT 1 BY received_at, session_id, timestamp) AS p
ORDER BY p.received_at, p.session_id, p.timestamp`
}

// ExportDataPoints starts a query whose result is a file of data points in ascending time, folded as
// PointReader does, and returns the file as ClickHouse writes it. The caller closes it, which also
// stops the query. A query that fails half way fails a read; io.EOF is the file's proper end. Both
// errors match ErrTooManyRows when there are more than MaxRows.
func (db *PointTable) ExportDataPoints(ctx context.Context, e Export) (io.ReadCloser, error) {
	query, args := exportSelect+folded(exportColumns)+" AS p", sessionRangeArgs(e.Session, e.Start, e.End)
	settings := db.streaming()
	maps.Copy(settings, exporting)
	switch {
	case e.Arrivals != nil:
		var from string
		var err error
		if ctx, from, args, err = e.Arrivals.query(ctx); err != nil {
			return nil, err
		}
		query = receivedRows(from)
		maps.Copy(settings, sorting)
	case e.BucketSeconds > 0:
		query = exportSelect + "(" + bucketSelect(exportColumns, folded(exportColumns)) + ") AS p"
		args = append(args, bucketArg(e.BucketSeconds))
	}
	settings["output_format_arrow_compression_method"] = arrowMethods[e.ArrowCompression]
	if e.MaxRows > 0 {
		settings["max_result_rows"], settings["result_overflow_mode"] = e.MaxRows, "throw"
	}
	body, err := db.conn.QueryFormat(withSettings(ctx, settings), string(e.Format), query, args...)
	if err != nil {
		return nil, exportFailure(err)
	}
	return &exported{ReadCloser: body, conn: db.conn}, nil
}

// exported counts a file that breaks off among the queries that failed.
type exported struct {
	io.ReadCloser
	conn *countedConn
}

// Read reads on in the file.
func (e *exported) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = exportFailure(e.conn.failure(kindQuery, err))
	}
	return n, err
}

func exportFailure(err error) error {
	if tooManyRows(err) {
		err = fmt.Errorf("%w: %w", ErrTooManyRows, err)
	}
	return fmt.Errorf("export data points: %w", err)
}
