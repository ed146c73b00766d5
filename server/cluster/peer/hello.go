package peer

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	// MaxFrame is how long a frame may be, in bytes.
	MaxFrame = 32 << 20
	// maxHello bounds the first frame.
	maxHello = 4 << 10
	// frameHeader is the length of a frame, in four bytes, the highest first. A frame of length 0 says only that the other side lives.
	frameHeader = 4
)

// Node is a process of a service.
type Node struct {
	ID          string `json:"id"`          // lies in the data directory
	Incarnation uint64 `json:"incarnation"` // another one for each process
	Address     string `json:"address"`     // where its peers reach it, HOST:PORT
}

// hello is what either side of a connection says first.
type hello struct {
	Node
	Oldest  int    `json:"oldest_version"`
	Newest  int    `json:"newest_version"`
	Build   string `json:"build"`             // of lastseen, for people
	Store   string `json:"store"`             // tells the database from another one
	Refused string `json:"refused,omitempty"` // why the other side is not spoken to
}

// refuses says why there are no messages with another node; nil where both speak a version of them.
func (h hello) refuses(other hello, address string) error {
	switch {
	case other.Store != h.Store:
		return fmt.Errorf("the node at %s uses another database: give all nodes the same --clickhouse, --database and --keeper", address)
	case other.Oldest > h.Newest:
		return fmt.Errorf("the node at %s runs lastseen %s, which speaks no version of the messages between nodes that this one (%s) knows: upgrade this one", address, other.Build, h.Build)
	case other.Newest < h.Oldest:
		return fmt.Errorf("the node at %s runs lastseen %s, which is too old to speak with this one (%s): upgrade it", address, other.Build, h.Build)
	}
	return nil
}

func writeHello(w io.Writer, h hello) error {
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode a hello: %w", err)
	}
	return writeFrame(w, text)
}

// readHello reads one. Later versions may say more, which is passed over.
func readHello(r io.Reader) (h hello, err error) {
	text, err := readFrame(r, maxHello)
	if err != nil {
		return hello{}, err
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return hello{}, fmt.Errorf("decode a hello: %w", err)
	}
	return h, nil
}

func writeFrame(w io.Writer, frame []byte) error {
	if len(frame) > MaxFrame {
		return errFrameTooLong
	}
	header := binary.BigEndian.AppendUint32(make([]byte, 0, frameHeader), uint32(len(frame)))
	if _, err := w.Write(header); err != nil {
		return err
	}
	_, err := w.Write(frame)
	return err
}

var errFrameTooLong = errors.New("a message between nodes is too long")

// readFrame reads one of a length at most, in memory of its own.
func readFrame(r io.Reader, most int) ([]byte, error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(header[:])
	if uint64(length) > uint64(most) {
		return nil, errFrameTooLong
	}
	frame := make([]byte, length)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	return frame, nil
}
