package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errFrame says that a frame is no message.
var errFrame = errors.New("not a message of a peer")

// encode returns the frame of a message: one byte for the format, one for the kind, the sender, and the message's fields. A later version may
// add fields at the end, which this one skips.
func encode(format byte, from Member, m message) []byte {
	frame := []byte{format, m.kind()}
	return inFormat(format, m.append(appendMember(frame, from)))
}

// decode returns the sender and the message of a frame. Their slices lie in the frame.
func decode(frame []byte) (Member, message, error) {
	if len(frame) < 2 {
		return Member{}, nil, errFrame
	}
	switch format := int(frame[0]); {
	case format > Format:
		return Member{}, nil, fmt.Errorf("the peer speaks format %d of the nodes' protocol, and this version of lastseen up to %d: upgrade this node", format, Format)
	case format < OldestFormat:
		return Member{}, nil, fmt.Errorf("the peer speaks format %d of the nodes' protocol, and this version of lastseen from %d on: upgrade the peer", format, OldestFormat)
	}
	m := newMessage(frame[1])
	if m == nil {
		return Member{}, nil, fmt.Errorf("the peer sent a message of kind %d, which this version of lastseen does not know: upgrade this node", frame[1])
	}
	r := &reader{rest: fromFormat(frame[0], frame[2:])}
	from := r.member()
	m.read(r)
	if r.bad {
		return Member{}, nil, errFrame
	}
	return from, m, nil
}

func newMessage(kind byte) message {
	for _, m := range []message{&beat{}, &echo{}, &put{}, &ack{}, &join{}, &snapshot{}, &leave{}} {
		if m.kind() == kind {
			return m
		}
	}
	return nil
}

func (m *beat) append(b []byte) []byte {
	b = appendNumbers(b, m.Epoch, m.Number, m.Echo, boolean(m.Promise), m.Opened)
	return appendView(b, m.View)
}

func (m *beat) read(r *reader) {
	m.Epoch, m.Number, m.Echo, m.Promise, m.Opened = r.number(), r.number(), r.number(), r.boolean(), r.number()
	m.View = r.view()
}

func (m *echo) append(b []byte) []byte { return appendNumbers(b, m.Epoch, m.Number, m.Beat) }
func (m *echo) read(r *reader)         { m.Epoch, m.Number, m.Beat = r.number(), r.number(), r.number() }

func (m *put) append(b []byte) []byte {
	b = appendNumbers(b, m.Epoch, m.Sequence, uint64(len(m.Changes)))
	for _, c := range m.Changes {
		b = appendBytes(append(b, c.Kind), c.Data)
	}
	return b
}

func (m *put) read(r *reader) {
	m.Epoch, m.Sequence = r.number(), r.number()
	for n := r.count(); n > 0 && !r.bad; n-- {
		m.Changes = append(m.Changes, Change{Kind: r.byte(), Data: r.bytes()})
	}
}

func (m *ack) append(b []byte) []byte { return appendNumbers(b, m.Epoch, m.Sequence) }
func (m *ack) read(r *reader)         { m.Epoch, m.Sequence = r.number(), r.number() }

func (m *join) append(b []byte) []byte {
	return appendNumbers(b, m.Left, m.Snapshot, uint64(m.Piece))
}
func (m *join) read(r *reader) { m.Left, m.Snapshot, m.Piece = r.number(), r.number(), r.small() }

func (m *snapshot) append(b []byte) []byte {
	b = appendNumbers(b, m.Epoch, m.Snapshot, m.Sequence, uint64(m.Piece), boolean(m.Last))
	return appendBytes(b, m.Data)
}

func (m *snapshot) read(r *reader) {
	m.Epoch, m.Snapshot, m.Sequence, m.Piece, m.Last = r.number(), r.number(), r.number(), r.small(), r.boolean()
	m.Data = r.bytes()
}

func (m *leave) append(b []byte) []byte { return appendNumbers(b, m.Left) }
func (m *leave) read(r *reader)         { m.Left = r.number() }

func appendNumbers(b []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func appendBytes(b, data []byte) []byte { return append(appendNumbers(b, uint64(len(data))), data...) }

func appendText(b []byte, text string) []byte {
	return append(appendNumbers(b, uint64(len(text))), text...)
}

func appendMember(b []byte, m Member) []byte {
	b = appendText(appendText(b, m.ID), m.Addr)
	return appendNumbers(b, m.Incarnation, m.Since, m.Joined)
}

func appendView(b []byte, v View) []byte {
	b = appendNumbers(appendText(b, v.Cluster), v.Epoch, v.Term)
	b = appendNumbers(appendText(appendText(b, v.Leader), v.Why), uint64(len(v.Members)))
	for _, m := range v.Members {
		b = appendMember(b, m)
	}
	b = appendNumbers(b, uint64(len(v.Former)))
	for _, f := range v.Former {
		b = appendNumbers(appendText(b, f.ID), boolean(f.Hard))
	}
	return b
}

func boolean(is bool) uint64 {
	if is {
		return 1
	}
	return 0
}

// reader reads the fields of a frame. After the first that is not there it is bad, and reads only zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) number() uint64 {
	n, length := binary.Uvarint(r.rest)
	if length <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[length:]
	return n
}

func (r *reader) small() uint32 {
	n := r.number()
	if n > 1<<32-1 {
		r.fail()
		return 0
	}
	return uint32(n)
}

func (r *reader) boolean() bool {
	n := r.number()
	if n > 1 {
		r.fail()
	}
	return n == 1
}

// count is how many things follow, each of which takes a byte at least.
func (r *reader) count() uint64 {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return n
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	first := r.rest[0]
	r.rest = r.rest[1:]
	return first
}

func (r *reader) bytes() []byte {
	n := r.count()
	data := r.rest[:n:n]
	r.rest = r.rest[n:]
	return data
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) member() Member {
	m := Member{ID: r.text(), Addr: r.text()}
	m.Incarnation, m.Since, m.Joined = r.number(), r.number(), r.number()
	return m
}

func (r *reader) view() View {
	v := View{Cluster: r.text(), Epoch: r.number(), Term: r.number(), Leader: r.text(), Why: r.text()}
	for n := r.count(); n > 0 && !r.bad; n-- {
		v.Members = append(v.Members, r.member())
	}
	for n := r.count(); n > 0 && !r.bad; n-- {
		v.Former = append(v.Former, Former{ID: r.text(), Hard: r.boolean()})
	}
	return v
}

func (r *reader) fail() { r.rest, r.bad = nil, true }
