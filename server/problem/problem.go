package problem

import (
	"strconv"

	"github.com/go-faster/jx"
	"github.com/valyala/fasthttp"
)

// Problem is an error as the caller sees it: RFC 9457 problem details with the headers that belong
// to its status. Every word in it may be sent; the cause is only logged. A problem is read-only once
// it is made, so that the fixed ones can be shared between requests.
type Problem struct {
	Status       int
	Detail       string       // one sentence that says what to do
	Fields       []FieldError // on 422
	Authenticate string       // WWW-Authenticate, on 401
	Allow        string       // Allow, on 405
	RetryAfter   int          // seconds, on 429 and 503
	Reason       string       // by which it is counted, where the status does not say enough
	Limit        string       // the limit that was reached, as a structured field; on 429 by a rate
	Policy       string       // RateLimit-Policy, with Limit
	Existing     string       // the caller's own thing that a 409 is about, where it is named
	Cause        error
}

// FieldError is one parameter or field that is missing or wrong.
type FieldError struct {
	Loc []string // where it is: query, body or header, then its name
	Msg string   // one sentence that says what to send
}

// Place is where a request has what it asks for.
type Place string

// The places.
const (
	Query Place = "query"
	Body  Place = "body"
	// Header is for fields of the request's header, whose names are those of HTTP.
	Header Place = "header"
)

// Field is an error about a field of a place, or about the whole of it when name is empty.
func (at Place) Field(name, msg string) FieldError {
	if name == "" {
		return FieldError{Loc: []string{string(at)}, Msg: msg}
	}
	return FieldError{Loc: []string{string(at), name}, Msg: msg}
}

// InQuery is an error about a query parameter.
func InQuery(name, msg string) FieldError { return Query.Field(name, msg) }

// InBody is an error about a field of the body, or about the body as a whole when name is empty.
func InBody(name, msg string) FieldError { return Body.Field(name, msg) }

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Cause }

// Because returns a copy of the problem that remembers what it stands for in the log.
func (p *Problem) Because(cause error) *Problem {
	caused := *p
	caused.Cause = cause
	return &caused
}

// Invalid is a 422 about one or more parameters or fields.
func Invalid(fields ...FieldError) *Problem {
	detail := fields[0].Loc[len(fields[0].Loc)-1] + ": " + fields[0].Msg
	if len(fields) > 1 {
		detail += " (and " + strconv.Itoa(len(fields)-1) + " more, see errors)"
	}
	return &Problem{Status: fasthttp.StatusUnprocessableEntity, Detail: detail, Fields: fields}
}

// Write writes the problem as JSON. requestID must need no escaping.
func (p *Problem) Write(w *jx.Writer, requestID []byte) {
	w.RawStr(`{"type":"about:blank","title":`)
	w.Str(fasthttp.StatusMessage(p.Status))
	w.RawStr(`,"status":`)
	w.Int(p.Status)
	w.RawStr(`,"detail":`)
	w.Str(p.Detail)
	w.RawStr(`,"message":`)
	w.Str(p.Detail)
	w.RawStr(`,"request_id":"`)
	w.Buf = append(w.Buf, requestID...)
	w.RawStr(`"`)
	if p.Existing != "" {
		w.RawStr(`,"_id":`)
		w.Str(p.Existing)
	}
	if len(p.Fields) > 0 {
		w.RawStr(`,"errors":[`)
		for i, field := range p.Fields {
			if i > 0 {
				w.Comma()
			}
			writeFieldError(w, field)
		}
		w.RawStr(`]`)
	}
	w.RawStr(`}`)
}

func writeFieldError(w *jx.Writer, field FieldError) {
	w.RawStr(`{"loc":[`)
	for i, part := range field.Loc {
		if i > 0 {
			w.Comma()
		}
		w.Str(part)
	}
	w.RawStr(`],"msg":`)
	w.Str(field.Msg)
	w.RawStr(`}`)
}

// Body returns the problem as JSON. requestID must need no escaping.
func (p *Problem) Body(requestID []byte) []byte {
	var w jx.Writer
	p.Write(&w, requestID)
	return w.Buf
}

// SetHeaders sets the status and the headers of a problem.
func (p *Problem) SetHeaders(response *fasthttp.Response) {
	response.SetStatusCode(p.Status)
	response.Header.SetContentType("application/problem+json")
	if p.Authenticate != "" {
		response.Header.Set(fasthttp.HeaderWWWAuthenticate, p.Authenticate)
	}
	if p.Allow != "" {
		response.Header.Set(fasthttp.HeaderAllow, p.Allow)
	}
	if p.RetryAfter > 0 {
		var digits [20]byte
		response.Header.SetBytesV(fasthttp.HeaderRetryAfter, strconv.AppendInt(digits[:0], int64(p.RetryAfter), 10))
	}
}
