package problem

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/valyala/fasthttp"

	"lastseen/schema"
	"lastseen/server/caller"
	"lastseen/server/cluster"
	"lastseen/server/limit"
	"lastseen/server/transport"
)

// domainProblems says which answer each kind of error of the packages below stands for.
var domainProblems = map[schema.Code]*Problem{
	schema.Invalid:           {Status: fasthttp.StatusUnprocessableEntity, Detail: "The request cannot be accepted as it is."},
	schema.NotFound:          NotFound,
	schema.Conflict:          {Status: fasthttp.StatusConflict, Detail: "The request is in conflict with the state of what it is about."},
	schema.TooLarge:          TooManyPoints,
	schema.Busy:              Busy,
	schema.DiskFull:          DiskFull,
	schema.Unavailable:       Unavailable,
	schema.NoCredential:      NoCredential,
	schema.InvalidCredential: InvalidCredential,
	schema.ExpiredCredential: ExpiredCredential,
	schema.RevokedCredential: RevokedCredential,
}

// ownProblems says which answer each error of the server's own packages stands for.
var ownProblems = []struct {
	err     error
	problem *Problem
}{
	{limit.ErrBusy, Busy},
	{limit.ErrShare, Share},
	{limit.ErrSlots, Slots},
	{transport.ErrConnections, Connections},
	{transport.ErrAddressConnections, AddressConnections},
	{transport.ErrNotSecure, NotSecure},
	{caller.ErrNone, NoCredential},
	{caller.ErrNoApp, NoAppCredential},
	{caller.ErrAPIKey, APIKeyRefused},
	{caller.ErrDeviceCredential, DeviceCredentialRefused},
	{caller.ErrRole, RoleTooLow},
	{caller.ErrScope, ScopeMissing},
	{caller.ErrAddress, AddressRefused},
	{caller.ErrCrossSite, CrossSite},
	{caller.ErrNotMember, NotMember},
	{cluster.ErrElsewhere, Elsewhere},
	{cluster.ErrNoRight, NoRight},
	{cluster.ErrPending, Pending},
	{transport.ErrDeparted, Departed},
	{context.DeadlineExceeded, Timeout},
	{context.Canceled, Stopping}, // by a shutdown
}

// From returns the answer that an error stands for. It is the only place that turns domain errors into status
// codes. A field that the error names is at a place of the request. What is not known here is a fault of ours.
func From(err error, at Place) *Problem {
	switch e := err.(type) { // the usual cases, without a search through a chain
	case *Problem:
		return e
	case schema.Code:
		if known := domainProblems[e]; known != nil {
			return known
		}
	}
	for _, known := range ownProblems {
		if err == known.err {
			return known.problem
		}
	}
	var p *Problem
	if errors.As(err, &p) {
		return p.Because(err)
	}
	if code, found := schema.CodeOf(err); found && domainProblems[code] != nil {
		return explained(code, err, at)
	}
	for _, known := range ownProblems {
		if errors.Is(err, known.err) {
			return known.problem.Because(err)
		}
	}
	return Internal.Because(err)
}

// explained returns the answer for an error of a kind, with the field and the sentence that it brings.
func explained(code schema.Code, err error, at Place) *Problem {
	known := domainProblems[code]
	e, says := errors.AsType[*schema.Error](err)
	switch {
	case !says || e.Code != code || e.Sentence == "":
		return known.Because(err)
	case code == schema.Invalid:
		return Invalid(at.Field(e.Field, e.Sentence))
	}
	p := known.Because(err)
	p.Detail = e.Sentence
	if e.Existing != (schema.ID{}) {
		p.Existing = e.Existing.String()
	}
	return p
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
