package replica

import (
	"reflect"
	"strings"
	"testing"
)

func someView() View {
	return View{Cluster: "key", Epoch: 7, Term: 5, Leader: "a", Why: "c joined", Former: []Former{{ID: "d", Hard: true}, {ID: "e"}},
		Members: []Member{{ID: "a", Incarnation: 1 << 60, Addr: "h:1", Since: 5}, {ID: "c", Incarnation: 2, Addr: "h:2", Since: 7, Joined: 5<<40 + 3}}}
}

func someMessages() []message {
	return []message{
		&beat{Epoch: 7, Number: 9, Echo: 8, Promise: true, Opened: 5 << 40, View: someView()},
		&echo{Epoch: 7, Number: 1, Beat: 2},
		&put{Epoch: 7, Sequence: 5<<40 + 1, Changes: []Change{{Kind: 3, Data: []byte("abc")}, {Kind: 0, Data: []byte{}}}},
		&ack{Epoch: 7, Sequence: 1},
		&join{Left: 6, Snapshot: 4, Piece: 2},
		&snapshot{Epoch: 7, Snapshot: 4, Sequence: 1, Piece: 2, Last: true, Data: []byte("xyz")},
		&leave{Left: 7},
	}
}

func TestWhatIsSentIsWhatIsReceived(t *testing.T) {
	t.Parallel()
	sender := someView().Members[1]
	for _, m := range someMessages() {
		from, got, err := decode(encode(Format, sender, m))
		if err != nil || from != sender || !reflect.DeepEqual(got, m) {
			t.Errorf("%#v of %v came as %#v of %v: %v", m, sender, got, from, err)
		}
	}
}

func TestALaterVersionMayAddFields(t *testing.T) {
	t.Parallel()
	for _, m := range someMessages() {
		if _, got, err := decode(append(encode(Format, Member{ID: "a"}, m), "new"...)); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%#v with a field more came as %#v: %v", m, got, err)
		}
	}
}

func TestWhatIsNotUnderstoodIsRefusedInASentence(t *testing.T) {
	t.Parallel()
	frame := encode(Format, Member{ID: "a"}, &ack{})
	newer, unknown := append([]byte{Format + 1}, frame[1:]...), append([]byte{Format, 200}, frame[2:]...)
	older := append([]byte{OldestFormat - 1}, frame[1:]...)
	for want, frame := range map[string][]byte{"upgrade this node": newer, "upgrade the peer": older, "kind 200": unknown, errFrame.Error(): frame[:3], "not a message": nil} {
		if _, _, err := decode(frame); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q was refused by %v, want %q", frame, err, want)
		}
	}
}

// FuzzDecode: what is read is what would be written of it, and nothing makes it panic.
func FuzzDecode(f *testing.F) {
	for _, m := range someMessages() {
		f.Add(encode(Format, Member{ID: "a", Addr: "h:1"}, m))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		from, m, err := decode(frame)
		if err != nil {
			return
		}
		again, same, err := decode(encode(Format, from, m))
		if err != nil || again != from || !reflect.DeepEqual(m, same) {
			t.Errorf("%#v came back as %#v: %v", m, same, err)
		}
	})
}
