package server

import (
	"strconv"

	"github.com/go-faster/jx"
	"github.com/valyala/fasthttp"
)

// problem is an error as the caller sees it: RFC 9457 problem details with the headers that belong
// to its status. Every word in it may be sent; the cause is only logged. A problem is read-only once
// it is made, so that the fixed ones can be shared between requests.
type problem struct {
	status       int
	detail       string       // one sentence that says what to do
	fields       []fieldError // on 422
	authenticate string       // WWW-Authenticate, on 401
	allow        string       // Allow, on 405
	retryAfter   int          // seconds, on 429 and 503
	reason       string       // by which it is counted, where the status does not say enough
	limit        string       // the limit that was reached, as a structured field; on 429 by a rate
	policy       string       // RateLimit-Policy, with limit
	cause        error
}

// fieldError is one parameter or field that is missing or wrong.
type fieldError struct {
	loc []string // where it is: query or body, then its name
	msg string
}

// Error returns the detail.
func (p *problem) Error() string { return p.detail }

// Unwrap returns the cause.
func (p *problem) Unwrap() error { return p.cause }

// because returns a copy of the problem that remembers what it stands for in the log.
func (p *problem) because(cause error) *problem {
	caused := *p
	caused.cause = cause
	return &caused
}

// invalid is a 422 about one or more parameters or fields.
func invalid(fields ...fieldError) *problem {
	detail := fields[0].loc[len(fields[0].loc)-1] + ": " + fields[0].msg
	if len(fields) > 1 {
		detail += " (and " + strconv.Itoa(len(fields)-1) + " more, see errors)"
	}
	return &problem{status: fasthttp.StatusUnprocessableEntity, detail: detail, fields: fields}
}

const (
	challengePlain   = `Bearer realm="lastseen"`
	challengeInvalid = `Bearer realm="lastseen", error="invalid_token"`
)

// The problems that need no detail of their own.
var (
	problemNoCredential = &problem{status: fasthttp.StatusUnauthorized, reason: reasonNoCredential, authenticate: challengePlain,
		detail: "Send an API key or a user token in the Authorization header: Authorization: Bearer <credential>."}
	problemInvalid = &problem{status: fasthttp.StatusUnauthorized, reason: reasonInvalid, authenticate: challengeInvalid,
		detail: "The credential is invalid; use one that was issued for this service."}
	problemExpired = &problem{status: fasthttp.StatusUnauthorized, reason: reasonExpired, authenticate: challengeInvalid,
		detail: "The credential has expired; use a new one."}
	problemRevoked = &problem{status: fasthttp.StatusUnauthorized, reason: reasonRevoked, authenticate: challengeInvalid,
		detail: "The credential has been revoked; use a new one."}
	problemAPIKey = &problem{status: fasthttp.StatusForbidden, reason: reasonAPIKey,
		detail: "This route does not support API key authentication; use a user token."}
	problemDeviceCredential = &problem{status: fasthttp.StatusForbidden, reason: reasonDevice,
		detail: "This route does not support device credential authentication: a device credential can only send points."}
	problemRole = &problem{status: fasthttp.StatusForbidden, reason: reasonRole,
		detail: "Your role does not allow this; ask an administrator of your organisation."}
	problemNotFound = &problem{status: fasthttp.StatusNotFound,
		detail: "There is no such object, or your organisation cannot see it; check the id."}
	problemNoRoute = &problem{status: fasthttp.StatusNotFound, reason: reasonNoRoute,
		detail: "There is no such route; check the path against the API's documentation."}
	problemURITooLong = &problem{status: fasthttp.StatusRequestURITooLong,
		detail: "The URL is too long; shorten its parameters."}
	problemBusy = &problem{status: fasthttp.StatusServiceUnavailable, reason: reasonBusy, retryAfter: 1,
		detail: "The service is busy; try again in a second."}
	problemUnavailable = &problem{status: fasthttp.StatusServiceUnavailable, retryAfter: 5,
		detail: "The data store cannot be reached; send the same request again in a few seconds."}
	problemDiskFull = &problem{status: fasthttp.StatusServiceUnavailable, reason: reasonDiskFull, retryAfter: 30,
		detail: "Nothing was stored, as the service's disk is nearly full; keep the points and send them again later."}
	problemTimeout = &problem{status: fasthttp.StatusServiceUnavailable, reason: reasonTimeout, retryAfter: 5,
		detail: "The request took too long; ask for less at a time, or try again in a few seconds."}
	problemStopping = &problem{status: fasthttp.StatusServiceUnavailable, retryAfter: 5,
		detail: "The service is stopping; try again in a few seconds."}
	problemInternal = &problem{status: fasthttp.StatusInternalServerError,
		detail: "Something went wrong on our side; if it happens again, report it with this request_id."}
	problemBodyCut = &problem{status: fasthttp.StatusBadRequest,
		detail: "The body ended before its announced length; send the request again."}
	problemBodySlow = &problem{status: fasthttp.StatusRequestTimeout,
		detail: "The request did not arrive in time; send it again, in smaller parts if it is large."}
	problemMalformed = &problem{status: fasthttp.StatusBadRequest,
		detail: "The request is not well-formed HTTP; check the client that sends it."}
	problemHTTP10 = &problem{status: fasthttp.StatusHTTPVersionNotSupported,
		detail: "This answer is too long for HTTP/1.0, which has no way to tell its end from a failure; use HTTP/1.1."}
	problemHeaderTooLarge = &problem{status: fasthttp.StatusRequestHeaderFieldsTooLarge,
		detail: "The request's headers are too large; send fewer or shorter ones."}
	problemJSONType = &problem{status: fasthttp.StatusUnsupportedMediaType,
		detail: "Send the body as Content-Type: application/json, without a Content-Encoding."}
	problemPointsType = &problem{status: fasthttp.StatusUnsupportedMediaType,
		detail: "Send the points as Content-Type: application/json or application/x-ndjson."}
	problemEncoding = &problem{status: fasthttp.StatusUnsupportedMediaType,
		detail: "Send the body as it is, or with Content-Encoding: gzip or zstd."}
	problemSecretInURL = &problem{status: fasthttp.StatusUnauthorized, reason: reasonSecretInURL, authenticate: challengePlain,
		detail: "Credentials are not accepted in the URL, where logs and histories keep them: send it in the Authorization header, and replace the one that was in the URL."}
)

// writeProblem writes the problem as JSON. requestID must need no escaping.
func writeProblem(w *jx.Writer, p *problem, requestID []byte) {
	w.RawStr(`{"type":"about:blank","title":`)
	w.Str(fasthttp.StatusMessage(p.status))
	w.RawStr(`,"status":`)
	w.Int(p.status)
	w.RawStr(`,"detail":`)
	w.Str(p.detail)
	w.RawStr(`,"message":`)
	w.Str(p.detail)
	w.RawStr(`,"request_id":"`)
	w.Buf = append(w.Buf, requestID...)
	w.RawStr(`"`)
	if len(p.fields) > 0 {
		w.RawStr(`,"errors":[`)
		for i, field := range p.fields {
			if i > 0 {
				w.Comma()
			}
			writeFieldError(w, field)
		}
		w.RawStr(`]`)
	}
	w.RawStr(`}`)
}

func writeFieldError(w *jx.Writer, field fieldError) {
	w.RawStr(`{"loc":[`)
	for i, part := range field.loc {
		if i > 0 {
			w.Comma()
		}
		w.Str(part)
	}
	w.RawStr(`],"msg":`)
	w.Str(field.msg)
	w.RawStr(`}`)
}

// problemBody returns the problem as JSON.
func problemBody(p *problem, id *requestID) []byte {
	var w jx.Writer
	writeProblem(&w, p, id.bytes())
	return w.Buf
}

// setProblemHeaders sets the status and the headers of a problem.
func setProblemHeaders(response *fasthttp.Response, p *problem) {
	response.SetStatusCode(p.status)
	response.Header.SetContentType("application/problem+json")
	if p.authenticate != "" {
		response.Header.Set(fasthttp.HeaderWWWAuthenticate, p.authenticate)
	}
	if p.allow != "" {
		response.Header.Set(fasthttp.HeaderAllow, p.allow)
	}
	if p.retryAfter > 0 {
		var digits [20]byte
		response.Header.SetBytesV(fasthttp.HeaderRetryAfter, strconv.AppendInt(digits[:0], int64(p.retryAfter), 10))
	}
}
