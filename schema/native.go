package schema

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// insertNative sends rows as one Native block.
func (db *connection) insertNative(ctx context.Context, table string, rows int, input proto.Input) error {
	return db.insertBlock(ctx, table, rows, input, new(proto.Buffer))
}

// insertBlock is insertNative with memory for the block. On an error who sends it may still be reading it.
func (db *connection) insertBlock(ctx context.Context, table string, rows int, input proto.Input, buffer *proto.Buffer) error {
	if rows == 0 {
		return nil
	}
	block := proto.Block{Columns: len(input), Rows: rows}
	if err := block.EncodeRawBlock(buffer, 0, input); err != nil {
		return fmt.Errorf("encode a block: %w", err)
	}
	return db.insertAgain(ctx, "INSERT INTO "+table+" "+input.Columns(), buffer)
}

// blockRevision is the revision of ClickHouse's protocol at which a server encodes the blocks of its
// results: the driver asks for its own, and who reports none, as the embedded engine, sends plain Native.
// What is sent to ClickHouse is plain Native always.
func blockRevision(conn driver.Conn) (int, error) {
	server, err := conn.ServerVersion()
	if err != nil {
		return 0, cannotReach(err)
	}
	return int(min(server.Revision, clickhouse.ClientTCPProtocolVersion)), nil
}

// withSettings adds ClickHouse settings to the statements run with the context.
func withSettings(ctx context.Context, settings clickhouse.Settings) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithSettings(settings))
}

// nativeReader decodes a streamed result block by block into columns that it reuses, so that memory
// stays bounded whatever the result's size.
type nativeReader struct {
	body    io.ReadCloser
	reader  *proto.Reader
	results proto.Results
	// revision is the one at which ClickHouse encodes blocks for us.
	revision int
	conn     *countedConn
}

// queryNative starts a streaming query. The caller closes the reader, which also stops the query.
// The results must name the select list's columns in order.
func (db *connection) queryNative(ctx context.Context, results proto.Results, query string, args ...any) (*nativeReader, error) {
	body, err := db.conn.QueryFormat(ctx, "Native", query, args...)
	if err != nil {
		return nil, err
	}
	buffer := bufio.NewReaderSize(body, nativeBuffer)
	for _, column := range results {
		if column, ok := column.Data.(buffered); ok {
			column.readFrom(buffer)
		}
	}
	return &nativeReader{body: body, reader: proto.NewReader(buffer), results: results, revision: db.revision, conn: db.conn}, nil
}

// next decodes the next block and returns its number of rows, or io.EOF after the last one.
func (r *nativeReader) next() (int, error) {
	for {
		// The buffered reader hides where a block begins, so the end of the stream shows as EOF
		// in front of a block's first byte.
		var block proto.Block
		if err := block.DecodeBlock(r.reader, r.revision, r.results); err != nil {
			if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && block == (proto.Block{}) {
				return 0, io.EOF
			}
			return 0, fmt.Errorf("decode a block: %w", r.conn.failure(kindQuery, err))
		}
		if block.Rows > 0 {
			return block.Rows, nil
		}
	}
}

// close stops the query if it still runs.
func (r *nativeReader) close() error {
	return r.body.Close()
}

// eachRow calls row for every row of the result, with its index in the columns' current block.
func (r *nativeReader) eachRow(row func(i int) error) error {
	for {
		rows, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range rows {
			if err := row(i); err != nil {
				return err
			}
		}
	}
}
