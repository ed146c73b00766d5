package traffic

import (
	"lastseen/bench/loadgen"
)

// Start makes one worker's source of polls, which begins at some place of a sequence of sessions.
type Start func(d Draws, at int) loadgen.Source

// Sweep makes one worker's source that asks for each of a list of sessions once and keeps the entity tags:
// of several workers, each takes every step-th session from one on.
func (p *Polls) Sweep(sessions []int, from, step int) loadgen.Source {
	return &sweeper{poller: *p.poller(nil, 0), sessions: sessions, next: from, step: step}
}

// sweeper asks for each of a list of sessions once, and keeps the entity tags.
type sweeper struct {
	poller
	sessions []int
	next     int
	step     int // of several workers each takes every step-th
}

// Prepare implements loadgen.Source.
func (s *sweeper) Prepare(x *loadgen.Exchange) bool {
	if s.next >= len(s.sessions) {
		return false
	}
	s.draws, s.at = Draws{uint32(s.sessions[s.next])}, 0
	s.next += s.step
	return s.poller.Prepare(x)
}

// Check implements loadgen.Source.
func (s *sweeper) Check(x *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	outcome, err := s.poller.Check(x, a)
	if err == nil && outcome == loadgen.Served {
		s.catalogue.Etags[x.Subject] = string(a.ETag)
	}
	return outcome, err
}

// Constant polls the bare server, which repeats the answer for one session whatever is asked for.
func (p *Polls) Constant(session int) Start {
	return func(d Draws, at int) loadgen.Source { return &constantReader{*p.poller(d, at), session} }
}

// constantReader polls the bare server, whose answer is always the same: that of the session constant,
// which is checked like any other, so that the client has as much to do as with the service.
type constantReader struct {
	poller
	constant int
}

// Check implements loadgen.Source.
func (c *constantReader) Check(_ *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	return loadgen.Served, c.catalogue.CheckPoint(&loadgen.Exchange{Subject: c.constant}, a)
}

// RedisGets polls Redis, which holds the finished answers by session id.
func RedisGets(c *Catalogue) Start {
	return func(d Draws, at int) loadgen.Source {
		return &redisReader{poller{Polls: Polls{catalogue: c}, draws: d, at: at}}
	}
}

// redisReader polls Redis, which holds the finished answers.
type redisReader struct{ poller }

// Prepare implements loadgen.Source.
func (r *redisReader) Prepare(x *loadgen.Exchange) bool {
	session := int(r.draws[r.at])
	if r.at++; r.at == len(r.draws) {
		r.at = 0
	}
	x.Subject, x.Floor = session, r.catalogue.Newest(session)
	x.Request = append(x.Request[:0], "*2\r\n$3\r\nGET\r\n$24\r\n"...)
	x.Request = append(append(x.Request, r.catalogue.ID(session)...), endOfHead...)
	return true
}
