package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client makes requests with one credential. It is safe for concurrent use.
type Client struct {
	base       *url.URL
	credential string
	http       *http.Client
	wait       func(ctx context.Context, d time.Duration) error
	onRetry    func(error)
}

const (
	// attempts bounds how often one request is made: with the waits between, about a quarter of a minute
	// against a server that says no time of its own.
	attempts  = 8
	maxWait   = 10 * time.Second
	firstWait = 200 * time.Millisecond
	// maxAsked is the longest wait that the server is granted. Who is asked for a longer one gets the Problem that says so.
	maxAsked       = time.Minute
	attemptTimeout = 2 * time.Minute
	maxAnswerBytes = 64 << 20
)

// New returns a client for the server at an address such as http://127.0.0.1:8080; an address without
// a scheme is taken as http. credential is a user token, an API key or a device credential; it is
// empty for the public routes.
func New(server, credential string) (*Client, error) {
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	base, err := url.Parse(server)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("the server address %q must look like http://127.0.0.1:8080", server)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return &Client{
		base: base, credential: credential,
		http: &http.Client{Transport: transport, Timeout: attemptTimeout},
		wait: waitFor,
	}, nil
}

// OnRetry has f called with what has failed whenever a request is going to be made again. It is called
// before the first request; f is called from the goroutines that make requests.
func (c *Client) OnRetry(f func(error)) { c.onRetry = f }

// Close drops the idle connections.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
}

// Get makes a GET request and decodes the JSON answer into into.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	return c.do(ctx, request{method: http.MethodGet, path: path, query: query, repeatable: true}, into)
}

// request is what do sends, as often as it must.
type request struct {
	method, path string
	query        url.Values
	body         []byte
	sent         map[string]string // fields of the header
	// repeatable says that making the request twice is as good as making it once, so that it may
	// be made again when nobody knows whether it arrived.
	repeatable bool
	// headers gets those of the answer unless it is nil.
	headers http.Header
}

// do makes a request, again after 429 and 503 and after a broken connection if it is repeatable, with
// growing waits and the server's Retry-After, until an answer or the last attempt.
func (c *Client) do(ctx context.Context, r request, into any) error {
	return c.attempt(ctx, func() error { return c.once(ctx, r, into) }, func(err error) bool {
		return !r.repeatable || errors.Is(err, ErrAnswer) || errors.Is(err, errNotModified)
	})
}

// attempt calls once until it succeeds, it fails for good, or the last attempt. 429 and 503 are no
// failure for good, every other answer is, and final says what else is.
func (c *Client) attempt(ctx context.Context, once func() error, final func(error) bool) error {
	backoff := firstWait
	for attempt := 1; ; attempt++ {
		err := once()
		switch {
		case err == nil || errors.Is(err, ctx.Err()):
			return err
		case ctx.Err() != nil: // while the answer was on its way
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		wait := backoff/2 + rand.N(backoff/2+1)
		problem, refused := errors.AsType[*Problem](err)
		switch {
		case refused:
			if problem.Status != http.StatusTooManyRequests && problem.Status != http.StatusServiceUnavailable || problem.RetryAfter > maxAsked {
				return err
			}
			wait = max(wait, problem.RetryAfter)
		case final(err):
			return err
		}
		if attempt == attempts {
			return fmt.Errorf("after %d attempts: %w", attempts, err)
		}
		if c.onRetry != nil {
			c.onRetry(err)
		}
		if err := c.wait(ctx, wait); err != nil {
			return unreachable(c.base, err)
		}
		backoff = min(2*backoff, maxWait)
	}
}

func waitFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errNotModified is the answer to a request whose ETag is still the one that it named.
var errNotModified = errors.New("what was asked for has not changed")

func (c *Client) once(ctx context.Context, r request, into any) error {
	httpRequest, err := c.newRequest(ctx, r.method, r.path, r.query, bytes.NewReader(r.body))
	if err != nil {
		return err
	}
	httpRequest.Header.Set("Accept", "application/json")
	for name, value := range r.sent {
		httpRequest.Header.Set(name, value)
	}
	response, err := c.http.Do(httpRequest)
	if err != nil {
		return unreachable(c.base, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return unreachable(c.base, err)
	}
	if response.StatusCode == http.StatusNotModified {
		return errNotModified
	}
	if response.StatusCode >= 300 {
		return problemOf(response, answer)
	}
	if r.headers != nil {
		maps.Copy(r.headers, response.Header)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%w (%w)", ErrAnswer, err)
	}
	return nil
}

// URL is the address of a path on the server, with parameters.
func (c *Client) URL(path string, query url.Values) string {
	target := c.base.JoinPath(path)
	target.RawQuery = query.Encode()
	return target.String()
}

// newRequest makes a request with the credential. body may be nil.
func (c *Client) newRequest(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.URL(path, query), body)
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	if c.credential != "" {
		request.Header.Set("Authorization", "Bearer "+c.credential)
	}
	return request, nil
}
