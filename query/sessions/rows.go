package sessions

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"lastseen/schema"
	"lastseen/schema/pages"
)

// row is what is always there of a session. It holds no pointer, so that the garbage collector has nothing to follow
// in a million of them, and fills a line of a processor's cache. Times are Unix milliseconds, 0 where there is none.
type row struct {
	id, device                            schema.ID
	createdAt, scheduledFor, terminatedAt int64
	spot                                  uint32 // in the table of newest points
	text                                  uint32 // where its texts begin in those of its block
	flags                                 rowFlags
}

type rowFlags uint16

const (
	publicKnown rowFlags = 1 << iota
	publicTrue
	hasReference
	hasComments
	hasShipper
	macDiffers // from its folded form, as the next two
	referenceDiffers
	commentsDiffer
	hasLists // in the fleet's lists
	flagsOutliers
	leavesOutliers
)

func (r *row) has(flag rowFlags) bool { return r.flags&flag != 0 }

// endedAt returns when the session ended, as of now; see schema.Session.EndedAt.
func (r *row) endedAt(now int64) (at int64, ended bool) {
	switch {
	case r.terminatedAt != 0:
		return r.terminatedAt, true
	case r.scheduledFor != 0 && r.scheduledFor <= now:
		return r.scheduledFor, true
	}
	return 0, false
}

// lists are what few sessions have.
type lists struct {
	shared, flights, statuses, legs []string
}

const (
	blockBits = 10
	blockRows = 1 << blockBits
)

// block holds up to blockRows rows and their texts. The texts of a row are one stretch: the length of the folded
// ones, these one after the other with a NUL in between (address, reference, comments), and then the original of each
// that differs, and the shipper's, each after its length.
type block struct {
	rows  []row
	seen  []int64 // when each was last seen, Unix milliseconds, notSeen for never; read and set atomically
	texts []byte
	dead  int // bytes of texts that no row has any more
	// may says what a full block's texts may contain. It is made by the first search, and of the blocks of a full stretch never.
	may atomic.Pointer[gramSet]
}

// roomLeft is the part of a full block's texts up to which room for more is left there: it is less than making them anew costs.
const roomLeft = 16

// newBlock returns an empty block of a fleet that has some. The first block grows with its rows, since most fleets are
// small; the others have room for all, and for as many texts as the last one and a little more.
func newBlock(others []*block) *block {
	if len(others) == 0 {
		return new(block)
	}
	texts := len(others[len(others)-1].texts)
	return &block{
		rows: pages.Written(make([]row, blockRows))[:0], seen: make([]int64, 0, blockRows),
		texts: pages.Written(make([]byte, texts+texts/roomLeft/2))[:0],
	}
}

// add appends a row without texts.
func (b *block) add(r row) {
	if len(b.rows) == cap(b.rows) {
		// Twice the room, as append would give it, but never more than a block holds.
		room := min(max(2*cap(b.rows), 4), blockRows)
		b.rows = append(make([]row, 0, room), b.rows...)
		b.seen = append(make([]int64, 0, room), b.seen...)
	}
	b.rows = append(b.rows, r)
	b.seen = append(b.seen, notSeen)
}

// setTexts gives a row the texts of a session.
func (b *block) setTexts(r *row, s *schema.Session) {
	r.flags &^= hasReference | hasComments | hasShipper | macDiffers | referenceDiffers | commentsDiffer
	folded := appendFold(make([]byte, 0, 64), s.DeviceMACAddress)
	r.note(macDiffers, string(folded) != s.DeviceMACAddress)
	for _, text := range []struct {
		value        *string
		has, differs rowFlags
	}{{s.OffChrtReferenceID, hasReference, referenceDiffers}, {s.Comments, hasComments, commentsDiffer}} {
		folded = append(folded, 0)
		if text.value == nil {
			continue
		}
		start := len(folded)
		folded = appendFold(folded, *text.value)
		r.note(text.has, true)
		r.note(text.differs, string(folded[start:]) != *text.value)
	}
	r.note(hasShipper, s.OffChrtShipperOrgDataID != nil)
	r.text = uint32(len(b.texts))
	b.texts = binary.AppendUvarint(b.texts, uint64(len(folded)))
	b.texts = append(b.texts, folded...)
	if may := b.may.Load(); may != nil {
		may.add(folded)
	}
	for _, text := range []struct {
		value *string
		kept  rowFlags
	}{
		{&s.DeviceMACAddress, macDiffers}, {s.OffChrtReferenceID, referenceDiffers}, {s.Comments, commentsDiffer},
		{s.OffChrtShipperOrgDataID, hasShipper},
	} {
		if r.has(text.kept) {
			b.texts = binary.AppendUvarint(b.texts, uint64(len(*text.value)))
			b.texts = append(b.texts, *text.value...)
		}
	}
}

func (r *row) note(flag rowFlags, on bool) {
	if on {
		r.flags |= flag
	}
}

// replaceTexts is setTexts for a row that has texts.
func (b *block) replaceTexts(r *row, s *schema.Session) {
	b.dead += b.textLen(r)
	b.setTexts(r, s)
	if b.dead < len(b.texts)/2 {
		return
	}
	kept := make([]byte, 0, len(b.texts)-b.dead)
	for i := range b.rows {
		r := &b.rows[i]
		n := b.textLen(r)
		at := uint32(len(kept))
		kept = append(kept, b.texts[r.text:int(r.text)+n]...)
		r.text = at
	}
	b.texts, b.dead = kept, 0
}

// textLen returns the bytes that a row's texts take.
func (b *block) textLen(r *row) int {
	_, rest := cut(b.texts[r.text:])
	for _, kept := range []rowFlags{macDiffers, referenceDiffers, commentsDiffer, hasShipper} {
		if r.has(kept) {
			_, rest = cut(rest)
		}
	}
	return len(b.texts) - int(r.text) - len(rest)
}

// cut divides texts after the first, which stands after its length.
func cut(texts []byte) (first, rest []byte) {
	if n := texts[0]; n < 0x80 {
		return texts[1 : 1+n], texts[1+n:]
	}
	n, digits := binary.Uvarint(texts)
	return texts[digits : digits+int(n)], texts[digits+int(n):]
}

// folded returns the folded texts of a row, with a NUL between the address, the reference and the comments.
func (b *block) folded(r *row) []byte {
	folded, _ := cut(b.texts[r.text:])
	return folded
}

// isReference reports whether a text is the reference of a row. folded is the text folded.
func (b *block) isReference(r *row, text, folded string) bool {
	if !r.has(hasReference) {
		return false
	}
	_, reference, _ := fields(b.folded(r))
	return string(reference) == folded && *b.session(r).OffChrtReferenceID == text
}

// original is one of a row's texts: it was kept, or is what its folded form is.
func original(r *row, differs rowFlags, folded []byte, rest *[]byte) string {
	if !r.has(differs) {
		return string(folded)
	}
	var text []byte
	text, *rest = cut(*rest)
	return string(text)
}

// session returns a row as a session, but for its organisation and its lists.
func (b *block) session(r *row) schema.Session {
	s := schema.Session{
		ID: r.id, DeviceID: r.device, CreatedAt: time.UnixMilli(r.createdAt).UTC(),
		TerminationScheduledFor: moment(r.scheduledFor), TerminatedAt: moment(r.terminatedAt),
	}
	if r.has(publicKnown) {
		public := r.has(publicTrue)
		s.Public = &public
	}
	switch word := ""; {
	case r.has(flagsOutliers):
		word = schema.WordFlagOutliers
		s.Outliers = &word
	case r.has(leavesOutliers):
		word = schema.WordLeaveOutliers
		s.Outliers = &word
	}
	folded, rest := cut(b.texts[r.text:])
	mac, reference, comments := fields(folded)
	s.DeviceMACAddress = original(r, macDiffers, mac, &rest)
	if r.has(hasReference) {
		text := original(r, referenceDiffers, reference, &rest)
		s.OffChrtReferenceID = &text
	}
	if r.has(hasComments) {
		text := original(r, commentsDiffer, comments, &rest)
		s.Comments = &text
	}
	if r.has(hasShipper) {
		text := original(r, hasShipper, nil, &rest)
		s.OffChrtShipperOrgDataID = &text
	}
	return s
}

// moment returns a time, nil for 0.
func moment(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	at := time.UnixMilli(ms).UTC()
	return &at
}
