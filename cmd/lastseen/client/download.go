package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// stallTimeout ends a download in which nothing has come for so long.
	stallTimeout    = 2 * time.Minute
	maxProblemBytes = 1 << 20
)

// writeError marks a failure of the caller's side of a download, which another attempt would not help.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

// Answer is what is known of a whole answer beside its body.
type Answer struct {
	Next string    // its Next-Cursor, empty when there is no more
	At   time.Time // when it began, by the server's clock, to the second; the client's where the server does not say
}

// Download makes a GET request and copies the answer's body into what begin returns, until a whole
// answer has come: after 429, 503 and an answer that was cut it starts over, and calls begin again,
// which must forget what the attempt before has written.
func (c *Client) Download(ctx context.Context, path string, query url.Values, begin func() (io.Writer, error)) (answer Answer, err error) {
	err = c.attempt(ctx, func() (err error) {
		answer, err = c.download(ctx, path, query, begin)
		return err
	}, func(err error) bool { return errors.As(err, &writeError{}) })
	return answer, err
}

// Temporary reports whether what a Download failed for may be over when it is made again later: the server is away, or
// has too much to do, or a fault.
func Temporary(err error) bool {
	var problem *Problem
	if errors.As(err, &problem) {
		return problem.Status == http.StatusTooManyRequests || problem.Status >= http.StatusInternalServerError
	}
	return errors.As(err, new(unreachableError)) || errors.Is(err, context.Canceled) // nothing came for stallTimeout
}

// download makes one attempt.
func (c *Client) download(ctx context.Context, path string, query url.Values, begin func() (io.Writer, error)) (Answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stalled := time.AfterFunc(stallTimeout, cancel)
	defer stalled.Stop()
	request, err := c.newRequest(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return Answer{}, writeError{err}
	}
	// Without this the transport asks for gzip, which costs the server more than a fast network saves.
	request.Header.Set("Accept-Encoding", "identity")
	whole := *c.http
	whole.Timeout = 0 // a long history takes as long as it takes; stalled bounds the silence in it
	response, err := whole.Do(request)
	if err != nil {
		return Answer{}, unreachable(c.base, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		answer, err := io.ReadAll(io.LimitReader(response.Body, maxProblemBytes))
		if err != nil {
			return Answer{}, unreachable(c.base, err)
		}
		return Answer{}, problemOf(response, answer)
	}
	if response.ContentLength < 0 && len(response.TransferEncoding) == 0 && response.ProtoMajor == 1 {
		return Answer{}, writeError{errors.New("the answer does not say where it ends, so that a cut one would look whole: go around the proxy that does this")}
	}
	w, err := begin()
	if err != nil {
		return Answer{}, writeError{err}
	}
	if err := copyBody(w, response.Body, func() { stalled.Reset(stallTimeout) }); err != nil {
		if errors.As(err, &writeError{}) {
			return Answer{}, err
		}
		return Answer{}, fmt.Errorf("the answer was cut, on its way or by a limit of the service on one answer: %w", unreachable(c.base, err))
	}
	at, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		at = time.Now()
	}
	return Answer{Next: response.Header.Get("Next-Cursor"), At: at}, nil
}

// copyBody copies and tells the reader's failures from the writer's.
func copyBody(w io.Writer, r io.Reader, alive func()) error {
	buffer := make([]byte, 256<<10)
	for {
		n, err := r.Read(buffer)
		if n > 0 {
			alive()
			if _, err := w.Write(buffer[:n]); err != nil {
				return writeError{err}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// ListSessions calls each with the id of every session that the caller sees and that the list route's
// parameters select, oldest first, until each returns an error, which is returned.
func (c *Client) ListSessions(ctx context.Context, filter url.Values, each func(id string) error) error {
	const pageSize = 1000
	query := url.Values{"sort_by": {"created_at_timestamp"}, "sort_order": {"asc"}, "page_size": {fmt.Sprint(pageSize)}}
	for name, values := range filter {
		query[name] = values
	}
	for number := 1; ; number++ {
		query.Set("page", fmt.Sprint(number))
		var page struct {
			Items []Session `json:"items"`
		}
		if err := c.Get(ctx, "/tracking/sessions/list/v1", query, &page); err != nil {
			return fmt.Errorf("list the sessions: %w", err)
		}
		for _, session := range page.Items {
			if err := each(session.ID); err != nil {
				return err
			}
		}
		if len(page.Items) < pageSize {
			return nil
		}
	}
}
