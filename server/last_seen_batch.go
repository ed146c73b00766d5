package server

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/go-faster/city"
	"github.com/go-faster/jx"
	"github.com/valyala/fasthttp"

	"lastseen/query/latest"
	"lastseen/query/wire"
	"lastseen/schema"
	"lastseen/server/limit"
	"lastseen/server/problem"
)

const (
	// batchSessions is how many sessions one request may ask for.
	batchSessions = 1000
	// batchBody bounds the body in bytes: so many ids of 24 digits take less than half of it.
	batchBody = 64 << 10
	// idsPerRequest is how many sessions cost the caller's rate as much as one request.
	idsPerRequest = 10
	// batchOfFew is how many sessions are answered without a place among the large batches, in some tens of microseconds.
	batchOfFew = 100
	// longestAsked bounds the text of an id in bytes, as not_found repeats it.
	longestAsked = 64
)

var (
	problemNoSessionIDs   = problem.Invalid(problem.InBody("session_ids", "Give 1 to 1000 ids of sessions."))
	problemSessionIDs     = problem.Invalid(problem.InBody("session_ids", "Give a list of ids, each a text of at most 64 characters."))
	problemSessionIDsOnce = problem.Invalid(problem.InBody("session_ids", "Give session_ids once."))
	errBatch              = errors.New("the body is not as it should be")
)

// batch is the memory of one request for many newest points: however many sessions it names, it makes no garbage.
type batch struct {
	body    bytes.Buffer
	answer  []byte
	texts   []byte // of the ids, one after the other
	ends    []int  // of each text, which begins where the one before ends
	ids     []schema.ID
	strange []int // of the texts, those that are no ids
	sights  []latest.Sight
	encoder wire.PointEncoder

	call      *call // while it is being answered
	answering *limit.Work
	failure   error // of answering
	unchanged bool  // the caller has the answer
}

var batches = sync.Pool{New: func() any {
	b := new(batch)
	b.answering = limit.NewWork(b.work)
	return b
}}

// lastSeenBatch answers with the newest points of up to 1000 sessions, in the order asked; null stands for a session without
// a point, and for one that is not there for the caller, whose id is in not_found too.
func lastSeenBatch(c *call) error {
	b := batches.Get().(*batch)
	defer batches.Put(b)
	if err := b.read(c.body()); err != nil {
		return err
	}
	// One was taken for the request itself.
	more := (len(b.ends)+idsPerRequest-1)/idsPerRequest - 1
	if wait := c.server.rates.TakeRequests(c.principal, c.entry.began, more); wait > 0 {
		return c.limited(errRequests, wait)
	}
	if err := c.server.slots.Enter(c.connection().Slot(), c.principal.OrgID, c.entry.began); err != nil {
		return err
	}
	if err := b.answerTo(c); err != nil {
		return err
	}
	response := &c.http.Response
	response.Header.SetCanonical(headerCacheControl, revalidate)
	response.Header.SetCanonical(headerVary, varyAuthorization)
	response.Header.SetCanonical(headerETag, c.scratch)
	if b.unchanged {
		response.SetStatusCode(fasthttp.StatusNotModified)
		return nil
	}
	c.replyLong(fasthttp.StatusOK, &b.answer)
	return nil
}

// answerTo makes the answer to a call, for few sessions at once, and for more in the lane, so that it keeps nobody waiting who polls one
// session at a time.
func (b *batch) answerTo(c *call) error {
	b.call = c
	defer func() { b.call = nil }()
	if len(b.ends) <= batchOfFew {
		b.work()
		return b.failure
	}
	pass, err := c.server.batches.Enter(c.context(), limit.Request{Owner: c.owner(), Weight: 1})
	if err != nil {
		return err
	}
	defer pass.Leave()
	c.server.lane.Do(b.answering)
	return b.failure
}

// work looks the sessions up and makes the answer's tag, and the answer where the caller has another one.
func (b *batch) work() {
	c := b.call
	if b.failure = b.lookUp(c); b.failure != nil {
		return
	}
	c.scratch = b.appendTag(c.scratch[:0])
	if b.unchanged = holdsTag(c.http.Request.Header.PeekAll(fasthttp.HeaderIfNoneMatch), c.scratch); !b.unchanged {
		b.appendAnswer()
	}
}

// read reads {"session_ids": […]}; members that it does not know are ignored.
func (b *batch) read(body io.Reader) (err error) {
	b.body.Reset()
	if _, err = b.body.ReadFrom(body); err != nil {
		return err
	}
	if b.readPlain(b.body.Bytes()) {
		return nil
	}
	return b.readAny(b.body.Bytes())
}

// readAny is read of any body.
func (b *batch) readAny(body []byte) (err error) {
	b.forget()
	d := jx.GetDecoder()
	defer jx.PutDecoder(d)
	d.ResetBytes(body)
	if d.Next() != jx.Object {
		return problem.Invalid(problem.InBody("", "Send a JSON object."))
	}
	seen := false
	var refusal error
	err = d.ObjBytes(func(d *jx.Decoder, name []byte) error {
		if string(name) != "session_ids" {
			return d.Skip()
		}
		if seen {
			refusal = problemSessionIDsOnce
			return errBatch
		}
		seen = true
		refusal = b.readIDs(d)
		if refusal != nil {
			return errBatch
		}
		return nil
	})
	switch {
	case refusal != nil:
		return refusal
	case err != nil || d.Next() != jx.Invalid:
		return problem.Invalid(problem.InBody("", "Send well-formed JSON; this one cannot be read to its end."))
	case len(b.ends) == 0:
		return problemNoSessionIDs
	}
	return nil
}

// forget forgets what was asked for.
func (b *batch) forget() {
	b.texts, b.ends, b.ids, b.strange = b.texts[:0], b.ends[:0], b.ids[:0], b.strange[:0]
}

// readPlain reads what most clients send: that member alone, with ids only. It reports false for all else, which is left to read.
func (b *batch) readPlain(body []byte) bool {
	b.forget()
	const digits = 2 * len(schema.ID{})
	rest, is := bytes.CutPrefix(body, []byte(`{"session_ids":`))
	if !is {
		return false
	}
	rest = bytes.TrimPrefix(rest, []byte(" "))
	for before := byte('['); len(b.ends) < batchSessions; before = ',' {
		if len(rest) == 0 || rest[0] != before {
			return false
		}
		rest = bytes.TrimPrefix(rest[1:], []byte(" "))
		if len(rest) < digits+4 || rest[0] != '"' || rest[1+digits] != '"' {
			return false
		}
		text := rest[1:][:digits]
		id, is := schema.ParseID(text)
		if !is {
			return false
		}
		b.texts = append(b.texts, text...)
		b.ends = append(b.ends, len(b.texts))
		b.ids = append(b.ids, id)
		if rest = rest[digits+2:]; rest[0] == ']' {
			return string(rest) == "]}"
		}
	}
	return false
}

func (b *batch) readIDs(d *jx.Decoder) error {
	if d.Next() != jx.Array {
		return problemSessionIDs
	}
	tooMany := false
	err := d.Arr(func(d *jx.Decoder) error {
		if tooMany = len(b.ends) == batchSessions; tooMany || d.Next() != jx.String {
			return errBatch
		}
		begin := len(b.texts)
		texts, err := d.StrAppend(b.texts)
		if err != nil || len(texts)-begin > longestAsked {
			return errBatch
		}
		id, is := schema.ParseID(texts[begin:])
		if !is {
			b.strange = append(b.strange, len(b.ends))
		}
		b.texts = texts
		b.ends = append(b.ends, len(texts))
		b.ids = append(b.ids, id)
		return nil
	})
	switch {
	case tooMany:
		return problemNoSessionIDs
	case err != nil:
		return problemSessionIDs
	}
	return nil
}

// each calls f for every session with the text of its id and what was found of it.
func (b *batch) each(f func(text []byte, s *latest.Sight)) {
	begin := 0
	for i, end := range b.ends {
		f(b.texts[begin:end], &b.sights[i])
		begin = end
	}
}

// lookUp finds the newest points, and fails when another node owns one of the sessions.
func (b *batch) lookUp(c *call) error {
	b.sights = slices.Grow(b.sights[:0], len(b.ids))[:len(b.ids)]
	for _, id := range b.ids {
		if err := c.own(id); err != nil {
			return err
		}
	}
	c.server.services.LastSeen.LookupEach(b.ids, c.principal.OrgID, b.sights)
	for _, i := range b.strange {
		b.sights[i].Status = latest.NotFound // whatever the id of zeros would show
	}
	return nil
}

// appendTag appends the entity tag of the answer: of what the tag of each point is made of (wire.AppendETag), which differs whenever
// a byte of the point does, and of what was asked where there is none.
func (b *batch) appendTag(dst []byte) []byte {
	b.answer = b.answer[:0]
	b.each(func(text []byte, s *latest.Sight) {
		b.answer = append(b.answer, byte(s.Status))
		if s.Status != latest.Found {
			b.answer = append(append(b.answer, byte(len(text))), text...)
			return
		}
		p := &s.Point
		b.answer = append(b.answer, p.SessionID[:]...)
		b.answer = binary.LittleEndian.AppendUint64(b.answer, uint64(p.Timestamp))
		b.answer = binary.LittleEndian.AppendUint64(b.answer, uint64(p.ReceivedAt))
		b.answer = binary.LittleEndian.AppendUint32(b.answer, p.Version)
	})
	sum := city.Hash128(b.answer) // who could make two answers have one tag owns the points, and is believed without
	var words [16]byte
	binary.LittleEndian.PutUint64(words[:8], sum.Low)
	binary.LittleEndian.PutUint64(words[8:], sum.High)
	dst = append(dst, '"')
	dst = base64.RawURLEncoding.AppendEncode(dst, words[:])
	return append(dst, '"')
}

// appendAnswer makes the answer.
func (b *batch) appendAnswer() {
	dst := append(b.answer[:0], `{"data_points":[`...)
	missing := false
	for i := range b.sights {
		if i > 0 {
			dst = append(dst, ',')
		}
		s := &b.sights[i]
		if s.Status == latest.Found {
			b.encoder.Of(s.Point.SessionID)
			dst = b.encoder.Append(dst, &s.Point)
		} else {
			dst = append(dst, jsonNull...)
		}
		missing = missing || s.Status == latest.NotFound
	}
	dst = append(dst, `],"not_found":[`...)
	if missing {
		e := jx.GetEncoder()
		defer jx.PutEncoder(e)
		b.each(func(text []byte, s *latest.Sight) {
			if s.Status != latest.NotFound {
				return
			}
			if dst[len(dst)-1] != '[' {
				dst = append(dst, ',')
			}
			e.Reset()
			e.ByteStr(text)
			dst = append(dst, e.Bytes()...)
		})
	}
	b.answer = append(dst, `]}`...)
}
