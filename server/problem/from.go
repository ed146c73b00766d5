package problem

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/valyala/fasthttp"

	"lastseen/ingest/registry"
	"lastseen/keys"
	"lastseen/query/history"
	"lastseen/query/latest"
	"lastseen/server/caller"
	"lastseen/server/limit"
	"lastseen/server/transport"
)

// domainProblems says which answer each error of the packages below stands for. The first that
// matches counts, so a sentinel that wraps a cause stands before what the cause may be.
var domainProblems = []struct {
	err     error
	problem *Problem
}{
	{keys.ErrUnknownCredential, NoCredential},
	{keys.ErrInvalid, InvalidCredential},
	{keys.ErrExpired, ExpiredCredential},
	{keys.ErrRevoked, RevokedCredential},
	{keys.ErrNotFound, NotFound},
	{latest.ErrNotFound, NoSession},
	{registry.ErrNotFound, NotFound},
	{latest.ErrBusy, Busy},
	{registry.ErrBusy, Busy},
	{keys.ErrUnavailable, Unavailable},
	{latest.ErrUnavailable, Unavailable},
	{registry.ErrDiskFull, DiskFull},
	{registry.ErrUnavailable, Unavailable},
	{limit.ErrBusy, Busy},
	{limit.ErrShare, Share},
	{limit.ErrSlots, Slots},
	{transport.ErrConnections, Connections},
	{transport.ErrAddressConnections, AddressConnections},
	{caller.ErrNone, NoCredential},
	{caller.ErrAPIKey, APIKeyRefused},
	{caller.ErrDeviceCredential, DeviceCredentialRefused},
	{caller.ErrRole, RoleTooLow},
	{caller.ErrCrossSite, CrossSite},
	{caller.ErrNotMember, NotMember},
	{transport.ErrDeparted, Departed},
	{context.DeadlineExceeded, Timeout},
	{context.Canceled, Stopping}, // by a shutdown
}

// From returns the answer that an error stands for. It is the only place that turns domain
// errors into status codes. What is not known here is a fault of ours.
func From(err error) *Problem {
	if p, ok := err.(*Problem); ok { // the usual cases, without a search through a chain
		return p
	}
	for _, known := range domainProblems {
		if err == known.err {
			return known.problem
		}
	}
	var p *Problem
	if errors.As(err, &p) {
		return p.Because(err)
	}
	if p := describedProblem(err); p != nil {
		return p
	}
	for _, known := range domainProblems {
		if errors.Is(err, known.err) {
			return known.problem.Because(err)
		}
	}
	return Internal.Because(err)
}

// describedProblem returns the answer for the errors that bring their own sentence, and nil for
// others.
func describedProblem(err error) *Problem {
	var ofIngest *registry.InvalidError
	var ofKeys *keys.InvalidError
	var ofQuery *latest.InvalidError
	var tooMuch *history.LimitError
	var conflict *registry.ConflictError
	var keyConflict *keys.ConflictError
	switch {
	case errors.As(err, &ofIngest):
		return Invalid(InBody(ofIngest.Field, ofIngest.Detail))
	case errors.As(err, &ofKeys):
		return Invalid(InBody(ofKeys.Field, ofKeys.Detail))
	case errors.As(err, &ofQuery):
		return Invalid(InQuery(ofQuery.Field, ofQuery.Detail))
	case errors.As(err, &tooMuch):
		return Invalid(InQuery("limit", tooMuch.Error()))
	case errors.As(err, &conflict):
		return &Problem{Status: fasthttp.StatusConflict, Detail: conflict.Detail}
	case errors.As(err, &keyConflict):
		return &Problem{Status: fasthttp.StatusConflict, Detail: keyConflict.Detail}
	case errors.Is(err, registry.ErrTooLarge):
		return TooManyPoints
	}
	return nil
}

// FromReading returns the answer to a request that did not arrive whole. The connection is often
// gone by then.
func FromReading(err error) *Problem {
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.As(err, &small):
		return HeaderTooLarge
	case errors.As(err, &network) && network.Timeout():
		return BodySlow
	case errors.Is(err, io.ErrUnexpectedEOF):
		return BodyCut
	}
	return Malformed
}
