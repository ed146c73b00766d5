// Package client speaks to a lastseen server over HTTP, for the commands that do and for the tests.
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
	"strconv"
	"strings"
	"time"

	"lastseen/cmd/lastseen/terminal"
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
	attempts = 8
	// maxWait bounds one wait, also one that the server asks for.
	maxWait        = 10 * time.Second
	firstWait      = 200 * time.Millisecond
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

// Problem is an answer that says no.
type Problem struct {
	Status    int
	Title     string `json:"title"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
	ID        string `json:"_id"` // what is in the way, of a 409 that names it
	Errors    []struct {
		Loc []any  `json:"loc"`
		Msg string `json:"msg"`
	} `json:"errors"`
	retryAfter time.Duration
}

// Error returns the server's sentence, with the fields that it objects to. It is printable, whatever the
// server is.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = http.StatusText(p.Status)
	}
	for _, e := range p.Errors {
		if !strings.Contains(text, e.Msg) {
			text += fmt.Sprintf("; %v: %s", e.Loc, e.Msg)
		}
	}
	if p.Status == http.StatusUnauthorized {
		text += " (What was sent is the token or key that this command's flags or environment give.)"
	}
	return fmt.Sprintf("the server answered %d: %s", p.Status, terminal.Printable(text))
}

// HasStatus reports whether an error is a Problem with a status.
func HasStatus(err error, status int) bool {
	var problem *Problem
	return errors.As(err, &problem) && problem.Status == status
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
	contentType  string
	encoding     string
	// repeatable says that making the request twice is as good as making it once, so that it may
	// be made again when nobody knows whether it arrived.
	repeatable bool
	// name is the request's Idempotency-Key, empty for none.
	name string
	// headers gets those of the answer unless it is nil.
	headers http.Header
}

// do makes a request, again after 429 and 503 and after a broken connection if it is repeatable, with
// growing waits and the server's Retry-After, until an answer or the last attempt.
func (c *Client) do(ctx context.Context, r request, into any) error {
	return c.attempt(ctx, func() error { return c.once(ctx, r, into) }, func(err error) bool {
		return !r.repeatable || errors.Is(err, errAnswer)
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
		var problem *Problem
		switch {
		case errors.As(err, &problem):
			if problem.Status != http.StatusTooManyRequests && problem.Status != http.StatusServiceUnavailable {
				return err
			}
			wait = max(wait, problem.retryAfter)
		case final(err):
			return err
		}
		if attempt == attempts {
			return fmt.Errorf("after %d attempts: %w", attempts, err)
		}
		if c.onRetry != nil {
			c.onRetry(err)
		}
		if err := c.wait(ctx, min(wait, maxWait)); err != nil {
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

// errAnswer marks a successful answer that does not read; making the request again would not help.
var errAnswer = errors.New("the server's answer is not what this client expects: check that the address is a lastseen server's")

func (c *Client) once(ctx context.Context, r request, into any) error {
	httpRequest, err := c.newRequest(ctx, r.method, r.path, r.query, bytes.NewReader(r.body))
	if err != nil {
		return err
	}
	httpRequest.Header.Set("Accept", "application/json")
	if r.contentType != "" {
		httpRequest.Header.Set("Content-Type", r.contentType)
	}
	if r.encoding != "" {
		httpRequest.Header.Set("Content-Encoding", r.encoding)
	}
	if r.name != "" {
		httpRequest.Header.Set("Idempotency-Key", r.name)
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
	if response.StatusCode >= 300 {
		return problemOf(response, answer)
	}
	if r.headers != nil {
		maps.Copy(r.headers, response.Header)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%w (%w)", errAnswer, err)
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

// unreachable leaves the path and its parameters out of the HTTP client's error.
func unreachable(base *url.URL, err error) error {
	if errors.Is(err, context.Canceled) {
		return interruptedError{}
	}
	var urlError *url.Error
	if errors.As(err, &urlError) {
		err = urlError.Err
	}
	return unreachableError{fmt.Errorf("reach the server at %s (is it running?): %w", base.Redacted(), err)}
}

// unreachableError is a request that got no answer, or not all of it.
type unreachableError struct{ error }

// Unwrap returns what is the matter.
func (e unreachableError) Unwrap() error { return e.error }

// interruptedError is what is left of a request whose caller was told to stop. Whether the server got it
// in time nobody knows.
type interruptedError struct{}

// Error implements error.
func (interruptedError) Error() string {
	return "interrupted before the server had answered, which may have done it all the same: look, or run it again"
}

// Unwrap lets callers recognise what ended the request.
func (interruptedError) Unwrap() error { return context.Canceled }

func problemOf(response *http.Response, answer []byte) error {
	problem := &Problem{}
	if json.Unmarshal(answer, problem) != nil {
		problem.Detail = "" // a proxy's page, say
	}
	problem.Status = response.StatusCode
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		problem.retryAfter = time.Duration(min(seconds, 3600)) * time.Second
	}
	return problem
}
