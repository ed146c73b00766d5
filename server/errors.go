package server

import (
	"context"
	"errors"

	"github.com/valyala/fasthttp"

	"lastseen/schema"
)

// problemOf says which answer each kind of error stands for.
var problemOf = map[schema.Code]*problem{
	schema.Invalid:           {status: fasthttp.StatusUnprocessableEntity, detail: "The request cannot be accepted as it is."},
	schema.NotFound:          problemNotFound,
	schema.Conflict:          {status: fasthttp.StatusConflict, detail: "The request is in conflict with the state of what it is about."},
	schema.TooLarge:          problemTooManyPoints,
	schema.Busy:              problemBusy,
	schema.DiskFull:          problemDiskFull,
	schema.Unavailable:       problemUnavailable,
	schema.NoCredential:      problemNoCredential,
	schema.InvalidCredential: problemInvalid,
	schema.ExpiredCredential: problemExpired,
	schema.RevokedCredential: problemRevoked,
}

// asProblem returns the answer that an error stands for. It is the only place that turns domain
// errors into status codes. Fields that an error names are in the body or, for a request without one, in the
// query: in says which. What is not known here is a fault of ours.
func asProblem(err error, in string) *problem {
	switch e := err.(type) { // the usual cases, without a search through a chain
	case *problem:
		return e
	case schema.Code:
		if known := problemOf[e]; known != nil {
			return known
		}
	}
	var p *problem
	if errors.As(err, &p) {
		return p.because(err)
	}
	if code, found := schema.CodeOf(err); found && problemOf[code] != nil {
		return explained(code, err, in)
	}
	switch {
	case errors.Is(err, errDeparted):
		return problemDeparted.because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return problemTimeout.because(err)
	case errors.Is(err, context.Canceled): // by a shutdown
		return problemStopping.because(err)
	}
	return problemInternal.because(err)
}

// explained returns the answer for an error of a kind, with the field and the sentence that it brings.
func explained(code schema.Code, err error, in string) *problem {
	known := problemOf[code]
	e, says := errors.AsType[*schema.Error](err)
	switch {
	case !says || e.Code != code || e.Sentence == "":
		return known.because(err)
	case code == schema.Invalid:
		return invalid(fieldIn(in, e.Field, e.Sentence))
	}
	p := known.because(err)
	p.detail = e.Sentence
	return p
}
