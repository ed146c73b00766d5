package traffic

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"lastseen/bench/loadgen"
)

// PathChanges is the route of what has changed of all sessions of an organisation.
const PathChanges = "/tracking/timeseries/session_by_device/last_seen_changes/v1"

var (
	dataField  = []byte("data: ")
	eventField = []byte("event: last_seen")
)

// Events is one client that follows what changes, by server-sent events. One goroutine uses it.
type Events struct {
	conn  net.Conn
	lines *bufio.Reader // of the body
	stop  func() bool
}

// OpenEvents begins to follow at an address, from a cursor on, and returns when the service has agreed. The stream ends
// with ctx at the latest. The caller closes it.
func OpenEvents(ctx context.Context, address, authorization, cursor string) (*Events, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect for events: %w", err)
	}
	e := &Events{conn: conn, stop: context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })}
	_, err = fmt.Fprintf(conn, "GET %s?%s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nAccept: text/event-stream\r\n\r\n",
		PathChanges, url.Values{"cursor": {cursor}}.Encode(), address, authorization)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask for events: %w", err), e.Close())
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(conn, 16<<10), nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the head of events: %w", err), e.Close())
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("%w: events got status %s", loadgen.ErrWrongAnswer, response.Status), e.Close())
	}
	e.lines = bufio.NewReaderSize(response.Body, 16<<10)
	return e, nil
}

// Close ends the stream.
func (e *Events) Close() error {
	e.stop()
	return e.conn.Close()
}

// Next returns the data point of the next event of a session, which lives until the call after it.
func (e *Events) Next() ([]byte, error) {
	for shows := false; ; {
		line, err := e.lines.ReadSlice('\n')
		if err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		switch {
		case bytes.HasPrefix(line, eventField):
			shows = true
		case shows && bytes.HasPrefix(line, dataField):
			return line[len(dataField):], nil
		case len(line) == 1:
			shows = false
		}
	}
}
