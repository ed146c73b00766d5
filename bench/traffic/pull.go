package traffic

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"lastseen/bench/loadgen"
)

// Puller pulls long answers over one connection and throws them away. One goroutine uses it.
type Puller struct {
	conn   net.Conn
	reader *bufio.Reader
	host   string
	// authorization is the header field's value; empty sends none.
	authorization string
	buffer        []byte
}

// Pulled is what came.
type Pulled struct {
	// Bytes came over the wire, and in them, where they were counted, so many Points.
	Bytes, Points int64
	// FirstByte is when the body began and Took when it ended, both from the start of the request.
	FirstByte, Took time.Duration
	// Encoding is the body's Content-Encoding.
	Encoding string
	// Next is the cursor of what follows, empty where there is none.
	Next string

	first, last []byte // the body's first and last few bytes
}

// NewPuller connects to an address, for requests with a value of the Authorization header; empty sends none.
// The caller closes the puller.
func NewPuller(ctx context.Context, address, authorization string) (*Puller, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect for a pull: %w", err)
	}
	return &Puller{conn: conn, reader: bufio.NewReaderSize(conn, 256<<10), host: address, authorization: authorization, buffer: make([]byte, 256<<10)}, nil
}

// Close ends the connection.
func (p *Puller) Close() { p.conn.Close() } // nothing is left to be written

// ErrBusy says that the service streams as many histories as it will.
var ErrBusy = errors.New("the service answered 503")

var pointStart = []byte(`{"_id":"`)

// parquetMark begins and ends a Parquet file. Its writer writes the second one last of all.
var parquetMark = []byte("PAR1")

// leastOfParquet is the least of bytes that a point of the data set takes. It takes 22; what is random in
// it is 6, whatever the compression.
const leastOfParquet = 12

// AsParquet is the path of a history as a Parquet file.
func AsParquet(path string) string { return path + "&" + url.Values{"format": {"parquet"}}.Encode() }

// CheckPoints says whether so many points of JSON came.
func (got *Pulled) CheckPoints(points int) error {
	if got.Points == int64(points) {
		return nil
	}
	return fmt.Errorf("%w: a history of %d points came with %d", loadgen.ErrWrongAnswer, points, got.Points)
}

// CheckParquet says whether what came can be a whole file of so many points. Their number is in the
// file's footer; a library that reads it would make the program half as large again.
func (got *Pulled) CheckParquet(points int) error {
	if bytes.Equal(got.first, parquetMark) && bytes.Equal(got.last, parquetMark) && got.Bytes >= int64(points)*leastOfParquet {
		return nil
	}
	return fmt.Errorf("%w: a history of %d points came as a Parquet file of %d bytes that begins with %q and ends with %q",
		loadgen.ErrWrongAnswer, points, got.Bytes, got.first, got.last)
}

// look keeps the first and last bytes of what has come.
func (got *Pulled) look(piece []byte) {
	got.first = append(got.first, piece[:min(len(piece), len(parquetMark)-len(got.first))]...)
	got.last = append(got.last, piece[max(0, len(piece)-len(parquetMark)):]...)
	got.last = append(got.last[:0], got.last[max(0, len(got.last)-len(parquetMark)):]...)
}

// Pull gets a path and throws away what comes. count counts the data points of JSON, which costs the
// client time.
func (p *Puller) Pull(ctx context.Context, path string, encoding string, count bool) (got Pulled, err error) {
	stop := context.AfterFunc(ctx, func() { p.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	began := time.Now()
	head := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept-Encoding: %s\r\n", path, p.host, encoding)
	if p.authorization != "" {
		head = fmt.Appendf(head, "Authorization: %s\r\n", p.authorization)
	}
	_, err = p.conn.Write(append(head, endOfHead...))
	if err != nil {
		return got, fmt.Errorf("ask for a history: %w", err)
	}
	response, err := http.ReadResponse(p.reader, nil)
	if err != nil {
		return got, fmt.Errorf("read the head of a history: %w", errors.Join(err, ctx.Err()))
	}
	defer response.Body.Close()
	got.Encoding, got.Next = response.Header.Get("Content-Encoding"), response.Header.Get("Next-Cursor")
	carried := 0 // bytes kept from the last piece: a point's start may straddle two
	for {
		n, err := response.Body.Read(p.buffer[carried:])
		if n > 0 && got.Bytes == 0 {
			got.FirstByte = time.Since(began)
		}
		got.Bytes += int64(n)
		piece := p.buffer[:carried+n]
		got.look(piece[carried:])
		if count {
			got.Points += int64(bytes.Count(piece, pointStart))
			tail := piece[max(0, len(piece)-len(pointStart)+1):]
			carried = copy(p.buffer, tail)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return got, fmt.Errorf("read a history: %w", errors.Join(err, ctx.Err()))
		}
	}
	got.Took = time.Since(began)
	if response.StatusCode == http.StatusServiceUnavailable {
		return got, ErrBusy
	}
	if response.StatusCode != http.StatusOK {
		return got, fmt.Errorf("%s answered %s", path, response.Status)
	}
	return got, nil
}

// Bearer is the Authorization of a key.
func Bearer(key string) string { return "Bearer " + key }
