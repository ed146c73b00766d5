package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Problem is an answer that says no.
type Problem struct {
	Status    int
	Title     string `json:"title"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"` // by which the server's log names the request
	ID        string `json:"_id"`        // what is in the way, of a 409 that names it
	Errors    []struct {
		Loc []any  `json:"loc"`
		Msg string `json:"msg"`
	} `json:"errors"`
	// RetryAfter is how long the server asks to be left alone, 0 where it does not say; at most an hour.
	RetryAfter time.Duration `json:"-"`
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
	return fmt.Sprintf("the server answered %d: %s", p.Status, printable(text))
}

// HasStatus reports whether an error is a Problem with a status.
func HasStatus(err error, status int) bool {
	problem, is := errors.AsType[*Problem](err)
	return is && problem.Status == status
}

// Temporary reports whether what failed may be over when it is tried again later: the server is away, or
// has too much to do, or a fault.
func Temporary(err error) bool {
	if problem, is := errors.AsType[*Problem](err); is {
		return problem.Status == http.StatusTooManyRequests || problem.Status >= http.StatusInternalServerError
	}
	_, unreached := errors.AsType[*UnreachableError](err)
	return unreached || errors.Is(err, context.Canceled) // nothing came for stallTimeout
}

// ErrAnswer is in the chain of what is wrong with a successful answer that does not read; making the request again would not help.
var ErrAnswer = errors.New("the server's answer is not what this client expects: check that the address is a lastseen server's")

// UnreachableError is a request that got no answer, or not all of it.
type UnreachableError struct{ Err error }

// Error returns what is the matter.
func (e *UnreachableError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// unreachable leaves the path and its parameters out of the HTTP client's error.
func unreachable(base *url.URL, err error) error {
	if errors.Is(err, context.Canceled) {
		return interruptedError{}
	}
	if failed, is := errors.AsType[*url.Error](err); is {
		err = failed.Err
	}
	return &UnreachableError{fmt.Errorf("reach the server at %s (is it running?): %w", base.Redacted(), err)}
}

// interruptedError is what is left of a request whose caller was told to stop. Whether the server got it
// in time nobody knows.
type interruptedError struct{}

// Error implements error.
func (interruptedError) Error() string {
	return "interrupted before the server had answered, which may have done it all the same: look, or run it again"
}

// Unwrap lets callers recognise what ended the request.
func (interruptedError) Unwrap() error { return context.Canceled }

// problemOf reads an answer that says no.
func problemOf(response *http.Response, answer []byte) error {
	problem := &Problem{}
	if json.Unmarshal(answer, problem) != nil {
		problem.Detail = "" // a proxy's page, say
	}
	problem.Status = response.StatusCode
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		problem.RetryAfter = time.Duration(min(seconds, 3600)) * time.Second
	}
	return problem
}

// printable returns a text as one line that a terminal shows as it is: what would move the cursor or change colours stands
// there in the form of a Go string.
func printable(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return text
	}
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
