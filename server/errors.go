package server

import (
	"context"
	"errors"

	"github.com/valyala/fasthttp"

	"lastseen/ingest/registry"
	"lastseen/keys"
	"lastseen/query/history"
	"lastseen/query/latest"
)

// domainProblems says which answer each error of the packages below stands for. The first that
// matches counts, so a sentinel that wraps a cause stands before what the cause may be.
var domainProblems = []struct {
	err     error
	problem *problem
}{
	{keys.ErrUnknownCredential, problemNoCredential},
	{keys.ErrInvalid, problemInvalid},
	{keys.ErrExpired, problemExpired},
	{keys.ErrRevoked, problemRevoked},
	{keys.ErrNotFound, problemNotFound},
	{latest.ErrNotFound, problemNoSession},
	{registry.ErrNotFound, problemNotFound},
	{latest.ErrBusy, problemBusy},
	{registry.ErrBusy, problemBusy},
	{keys.ErrUnavailable, problemUnavailable},
	{latest.ErrUnavailable, problemUnavailable},
	{registry.ErrDiskFull, problemDiskFull},
	{registry.ErrUnavailable, problemUnavailable},
	{errDeparted, problemDeparted},
	{context.DeadlineExceeded, problemTimeout},
	{context.Canceled, problemStopping}, // by a shutdown
}

// asProblem returns the answer that an error stands for. It is the only place that turns domain
// errors into status codes. What is not known here is a fault of ours.
func asProblem(err error) *problem {
	if p, ok := err.(*problem); ok { // the usual cases, without a search through a chain
		return p
	}
	for _, known := range domainProblems {
		if err == known.err {
			return known.problem
		}
	}
	var p *problem
	if errors.As(err, &p) {
		return p.because(err)
	}
	if p := describedProblem(err); p != nil {
		return p
	}
	for _, known := range domainProblems {
		if errors.Is(err, known.err) {
			return known.problem.because(err)
		}
	}
	return problemInternal.because(err)
}

// describedProblem returns the answer for the errors that bring their own sentence, and nil for
// others.
func describedProblem(err error) *problem {
	var ofIngest *registry.InvalidError
	var ofKeys *keys.InvalidError
	var ofQuery *latest.InvalidError
	var limit *history.LimitError
	var conflict *registry.ConflictError
	var keyConflict *keys.ConflictError
	switch {
	case errors.As(err, &ofIngest):
		return invalid(bodyField(ofIngest.Field, ofIngest.Detail))
	case errors.As(err, &ofKeys):
		return invalid(bodyField(ofKeys.Field, ofKeys.Detail))
	case errors.As(err, &ofQuery):
		return invalid(fieldError{loc: []string{"query", ofQuery.Field}, msg: ofQuery.Detail})
	case errors.As(err, &limit):
		return invalid(fieldError{loc: []string{"query", "limit"}, msg: limit.Error()})
	case errors.As(err, &conflict):
		return &problem{status: fasthttp.StatusConflict, detail: conflict.Detail}
	case errors.As(err, &keyConflict):
		return &problem{status: fasthttp.StatusConflict, detail: keyConflict.Detail}
	case errors.Is(err, registry.ErrTooLarge):
		return problemTooManyPoints
	}
	return nil
}
