package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"sync"

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
	body   bytes.Buffer
	answer []byte
	ids    []byte // of all, one after the other
	asked  []askedSession
	parsed []schema.ID // of a few sessions that are looked up side by side
}

// askedSession is one session of a batch, and what was found of it.
type askedSession struct {
	idEnd  int // of its text in batch.ids, which begins where the one before ends
	isID   bool
	status latest.Status
	point  schema.DataPoint
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// lastSeenBatch answers with the newest points of up to 1000 sessions, in the order asked; null stands for a session without
// a point, and for one that is not there for the caller, whose id is in not_found too.
func lastSeenBatch(c *call) error {
	b := batches.Get().(*batch)
	defer batches.Put(b)
	if err := b.read(c.body()); err != nil {
		return err
	}
	// One was taken for the request itself.
	more := (len(b.asked)+idsPerRequest-1)/idsPerRequest - 1
	if wait := c.server.rates.TakeRequests(c.principal, c.entry.began, more); wait > 0 {
		return c.limited(errRequests, wait)
	}
	if err := c.server.slots.Enter(c.connection().Slot(), c.principal.OrgID, c.entry.began); err != nil {
		return err
	}
	if len(b.asked) > batchOfFew {
		// Half of the processors stay for those who poll one session at a time.
		pass, err := c.server.batches.Enter(c.context(), limit.Request{Owner: c.owner(), Weight: 1})
		if err != nil {
			return err
		}
		defer pass.Leave()
	}
	if err := b.lookUp(c); err != nil {
		return err
	}
	c.scratch = b.appendTag(c.scratch[:0])
	response := &c.http.Response
	response.Header.SetCanonical(headerCacheControl, revalidate)
	response.Header.SetCanonical(headerVary, varyAuthorization)
	response.Header.SetCanonical(headerETag, c.scratch)
	if holdsTag(c.http.Request.Header.PeekAll(fasthttp.HeaderIfNoneMatch), c.scratch) {
		response.SetStatusCode(fasthttp.StatusNotModified)
		return nil
	}
	c.reply(fasthttp.StatusOK, b.appendAnswer())
	return nil
}

// read reads {"session_ids": […]}; members that it does not know are ignored.
func (b *batch) read(body io.Reader) (err error) {
	b.ids, b.asked = b.ids[:0], b.asked[:0]
	b.body.Reset()
	if _, err = b.body.ReadFrom(body); err != nil {
		return err
	}
	d := jx.GetDecoder()
	defer jx.PutDecoder(d)
	d.ResetBytes(b.body.Bytes())
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
	case len(b.asked) == 0:
		return problemNoSessionIDs
	}
	return nil
}

func (b *batch) readIDs(d *jx.Decoder) error {
	if d.Next() != jx.Array {
		return problemSessionIDs
	}
	tooMany := false
	err := d.Arr(func(d *jx.Decoder) error {
		if tooMany = len(b.asked) == batchSessions; tooMany || d.Next() != jx.String {
			return errBatch
		}
		begin := len(b.ids)
		ids, err := d.StrAppend(b.ids)
		if err != nil || len(ids)-begin > longestAsked {
			return errBatch
		}
		b.ids = ids
		b.asked = append(b.asked, askedSession{idEnd: len(ids)})
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

// each calls f for every session with the text of its id.
func (b *batch) each(f func(id []byte, s *askedSession)) {
	begin := 0
	for i := range b.asked {
		s := &b.asked[i]
		f(b.ids[begin:s.idEnd], s)
		begin = s.idEnd
	}
}

// sideBySide is how many sessions are looked up at a time: fetched from memory together, they wait for it once.
const sideBySide = 64

// lookUp finds the newest points, and fails when another node owns one of the sessions.
func (b *batch) lookUp(c *call) error {
	table := c.server.services.LastSeen
	begin, rest := 0, b.asked
	for len(rest) > 0 {
		some := rest[:min(len(rest), sideBySide)]
		rest = rest[len(some):]
		b.parsed = b.parsed[:0]
		for i := range some {
			var id schema.ID
			if id, some[i].isID = schema.ParseID(b.ids[begin:some[i].idEnd]); some[i].isID {
				if err := c.own(id); err != nil {
					return err
				}
			}
			b.parsed = append(b.parsed, id)
			begin = some[i].idEnd
		}
		table.Prefetch(b.parsed)
		for i := range some {
			s := &some[i]
			if s.status = latest.NotFound; s.isID {
				s.status = table.Peek(b.parsed[i], c.principal.OrgID, &s.point)
			}
			table.CountLookup(s.status)
		}
	}
	return nil
}

// appendTag appends the entity tag of the answer: of what was asked, and of what the tag of each point is made of, which
// differs whenever a byte of the point does (wire.AppendETag).
func (b *batch) appendTag(dst []byte) []byte {
	b.answer = b.answer[:0]
	b.each(func(id []byte, s *askedSession) {
		b.answer = binary.AppendUvarint(b.answer, uint64(len(id)))
		b.answer = append(b.answer, id...)
		b.answer = append(b.answer, byte(s.status))
		if s.status == latest.Found {
			b.answer = binary.LittleEndian.AppendUint64(b.answer, uint64(s.point.Timestamp))
			b.answer = binary.LittleEndian.AppendUint64(b.answer, uint64(s.point.ReceivedAt))
			b.answer = binary.LittleEndian.AppendUint32(b.answer, s.point.Version)
		}
	})
	sum := sha256.Sum256(b.answer)
	dst = append(dst, '"')
	dst = base64.RawURLEncoding.AppendEncode(dst, sum[:16])
	return append(dst, '"')
}

// appendAnswer returns the answer, which lives as long as the batch.
func (b *batch) appendAnswer() []byte {
	dst := append(b.answer[:0], `{"data_points":[`...)
	missing := false
	b.each(func(_ []byte, s *askedSession) {
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		if s.status == latest.Found {
			dst = wire.AppendDataPoint(dst, &s.point)
		} else {
			dst = append(dst, jsonNull...)
		}
		missing = missing || s.status == latest.NotFound
	})
	dst = append(dst, `],"not_found":[`...)
	if missing {
		e := jx.GetEncoder()
		defer jx.PutEncoder(e)
		b.each(func(id []byte, s *askedSession) {
			if s.status != latest.NotFound {
				return
			}
			if dst[len(dst)-1] != '[' {
				dst = append(dst, ',')
			}
			e.Reset()
			e.ByteStr(id)
			dst = append(dst, e.Bytes()...)
		})
	}
	b.answer = append(dst, `]}`...)
	return b.answer
}
