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

func isWriteError(err error) bool {
	_, is := errors.AsType[writeError](err)
	return is
}

// Answer is what is known of a whole answer beside its body.
type Answer struct {
	Next string    // its Next-Cursor, empty when there is no more
	At   time.Time // when it began, by the server's clock, to the second; the client's where the server does not say
}

// FeedPath and HistoryPath are the routes that Download is for.
const (
	FeedPath    = "/tracking/timeseries/session_by_device/data_points_feed/v1"
	HistoryPath = "/tracking/timeseries/session_by_device/data_points/v1"
)

// Download makes a GET request and copies the answer's body into what begin returns, until a whole
// answer has come: after 429, 503 and an answer that was cut it starts over, and calls begin again,
// which must forget what the attempt before has written.
func (c *Client) Download(ctx context.Context, path string, query url.Values, begin func() (io.Writer, error)) (answer Answer, err error) {
	err = c.attempt(ctx, func() (err error) {
		answer, err = c.download(ctx, path, query, begin)
		return err
	}, isWriteError)
	return answer, err
}

// download makes one attempt.
func (c *Client) download(ctx context.Context, path string, query url.Values, begin func() (io.Writer, error)) (Answer, error) {
	body, answer, err := c.open(ctx, path, query)
	if err != nil {
		return Answer{}, err
	}
	defer body.Close()
	w, err := begin()
	if err != nil {
		return Answer{}, writeError{err}
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{body}, make([]byte, 256<<10))
	switch {
	case body.failed != nil:
		return Answer{}, c.wasCut(body.failed)
	case err != nil:
		return Answer{}, writeError{err}
	}
	return answer, nil
}

// wasCut says what became of an answer whose end did not come.
func (c *Client) wasCut(err error) error {
	return fmt.Errorf("the answer was cut, on its way or by a limit of the service on one answer: %w", unreachable(c.base, err))
}

// answerBody is the body of an answer of any length. What it is read for may take its time, but its next bytes must come
// within stallTimeout.
type answerBody struct {
	body    io.ReadCloser
	stalled *time.Timer
	cancel  context.CancelFunc
	failed  error // why its end did not come
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	b.stalled.Reset(stallTimeout)
	n, err := b.body.Read(p)
	b.stalled.Stop()
	if err != nil && err != io.EOF {
		b.failed = err
	}
	return n, err
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	b.stalled.Stop()
	b.cancel()
	return b.body.Close()
}

// open makes a GET request and returns the body of the answer, which the caller closes, and what the header says.
func (c *Client) open(ctx context.Context, path string, query url.Values) (*answerBody, Answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	body := &answerBody{stalled: time.AfterFunc(stallTimeout, cancel), cancel: cancel}
	response, err := c.begin(ctx, path, query)
	if err != nil {
		body.stalled.Stop()
		cancel()
		return nil, Answer{}, err
	}
	body.body = response.Body
	at, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		at = time.Now()
	}
	return body, Answer{Next: response.Header.Get("Next-Cursor"), At: at}, nil
}

// begin makes a request and returns an answer whose body is to be read.
func (c *Client) begin(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	request, err := c.newRequest(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return nil, writeError{err}
	}
	// Without this the transport asks for gzip, which costs the server more than a fast network saves.
	request.Header.Set("Accept-Encoding", "identity")
	whole := *c.http
	whole.Timeout = 0 // a long history takes as long as it takes; answerBody bounds the silence in it
	response, err := whole.Do(request)
	if err != nil {
		return nil, unreachable(c.base, err)
	}
	if response.StatusCode == http.StatusOK {
		if response.ContentLength < 0 && len(response.TransferEncoding) == 0 && response.ProtoMajor == 1 {
			err := errors.New("the answer does not say where it ends, so that a cut one would look whole: go around the proxy that does this")
			return nil, writeError{errors.Join(err, response.Body.Close())}
		}
		return response, nil
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxProblemBytes))
	if err != nil {
		return nil, unreachable(c.base, err)
	}
	return nil, problemOf(response, answer)
}
