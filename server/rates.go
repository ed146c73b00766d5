package server

import (
	"errors"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/keys"
	"lastseen/keys/ratelimit"
	"lastseen/server/caller"
	"lastseen/server/limit"
	"lastseen/server/problem"
)

// errRequests says that a caller has made as many requests as it may for now.
var errRequests = errors.New("the caller has made as many requests as it may for now")

// rateProblems are the answers of those past the limits on rates.
type rateProblems struct {
	requests, failures *problem.Problem
	rate               ratelimit.Rate // of requests
}

func newRateProblems(config *Config) rateProblems {
	return rateProblems{
		rate: config.RequestRate,
		requests: rateProblem("requests", config.RequestRate,
			"You have made as many requests as you may for now; wait as many seconds as Retry-After says, and poll less often."),
		failures: rateProblem("failures", config.FailureRate,
			"Too many bad credentials have come from your address; wait as many seconds as Retry-After says, and check the credential."),
	}
}

func rateProblem(name string, rate ratelimit.Rate, detail string) *problem.Problem {
	p := &problem.Problem{Status: fasthttp.StatusTooManyRequests, Reason: problem.ReasonRate, Detail: detail, Limit: strconv.Quote(name)}
	if rate.Limits() {
		p.Policy = p.Limit + ";q=" + strconv.Itoa(rate.Quota) + ";w=" + strconv.FormatInt(wholeSeconds(rate.Window), 10)
	}
	return p
}

// ofRequests is the answer to a caller that has made as many requests as it may. Where a key has a rate of its own
// besides, the one that is meant is the lower.
func (r *rateProblems) ofRequests(p *keys.Principal) *problem.Problem {
	own, all := limit.OwnRate(p.Limits.RequestsPerSecond), r.rate
	if !own.Limits() || all.Limits() && float64(all.Quota)*own.Window.Seconds() < float64(own.Quota)*all.Window.Seconds() {
		return r.requests
	}
	return rateProblem("key_requests", own, "This API key has made as many requests as it may for now; wait as many seconds as Retry-After says, and poll less often.")
}

// wholeSeconds rounds up.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// limited returns the answer to a request past a limit on rates that must wait, and any other error as it is.
func (c *call) limited(err error, wait time.Duration) error {
	c.retry = wait
	switch err {
	case errRequests:
		return c.server.rateProblems.ofRequests(c.principal)
	case caller.ErrFailures:
		return c.server.rateProblems.failures
	}
	return err
}

// setRateLimit tells a caller past a limit when to come back, in the fields of the IETF's draft
// ratelimit-headers.
func (c *call) setRateLimit(p *problem.Problem) {
	seconds := wholeSeconds(c.retry)
	header := &c.http.Response.Header
	c.scratch = strconv.AppendInt(c.scratch[:0], seconds, 10)
	header.SetBytesV(fasthttp.HeaderRetryAfter, c.scratch)
	header.Set("RateLimit-Policy", p.Policy)
	c.scratch = append(append(c.scratch[:0], p.Limit...), ";r=0;t="...)
	header.SetBytesV("RateLimit", strconv.AppendInt(c.scratch, seconds, 10))
}
