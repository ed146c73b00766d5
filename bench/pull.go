package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// puller pulls long answers over one connection and throws them away. One goroutine uses it.
type puller struct {
	conn   net.Conn
	reader *bufio.Reader
	host   string
	key    string
	buffer []byte
}

// pulled is what came.
type pulled struct {
	bytes, points int64
	firstByte     time.Duration // of the body, from the start of the request
	took          time.Duration
	encoding      string
}

func newPuller(ctx context.Context, address, key string) (*puller, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect for a pull: %w", err)
	}
	return &puller{conn: conn, reader: bufio.NewReaderSize(conn, 256<<10), host: address, key: key, buffer: make([]byte, 256<<10)}, nil
}

func (p *puller) close() { p.conn.Close() } // nothing is left to be written

// errBusy says that the service streams as many histories as it will.
var errBusy = errors.New("the service answered 503")

var pointStart = []byte(`{"_id":"`)

// pull gets a path. count counts the data points, which costs the client time. keep, when it is not
// nil, gets the body.
func (p *puller) pull(ctx context.Context, path string, encoding string, count bool, keep io.Writer) (got pulled, err error) {
	stop := context.AfterFunc(ctx, func() { p.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	began := time.Now()
	_, err = fmt.Fprintf(p.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nAccept-Encoding: %s\r\n\r\n", path, p.host, p.key, encoding)
	if err != nil {
		return got, fmt.Errorf("ask for a history: %w", err)
	}
	response, err := http.ReadResponse(p.reader, nil)
	if err != nil {
		return got, fmt.Errorf("read the head of a history: %w", errors.Join(err, ctx.Err()))
	}
	defer response.Body.Close()
	got.encoding = response.Header.Get("Content-Encoding")
	carried := 0 // bytes kept from the last piece: a point's start may straddle two
	for {
		n, err := response.Body.Read(p.buffer[carried:])
		if n > 0 && got.bytes == 0 {
			got.firstByte = time.Since(began)
		}
		got.bytes += int64(n)
		piece := p.buffer[:carried+n]
		if keep != nil && response.StatusCode == http.StatusOK {
			if _, err := keep.Write(piece[carried:]); err != nil {
				return got, err
			}
		}
		if count {
			got.points += int64(bytes.Count(piece, pointStart))
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
	got.took = time.Since(began)
	if response.StatusCode == http.StatusServiceUnavailable {
		return got, errBusy
	}
	if response.StatusCode != http.StatusOK {
		return got, fmt.Errorf("%s answered %s", path, response.Status)
	}
	return got, nil
}
