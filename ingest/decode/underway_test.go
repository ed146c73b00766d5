package decode

import (
	"io"
	"strings"
	"testing"
)

// during calls a function when it is read.
type during struct {
	io.Reader
	call func()
}

func (d during) Read(p []byte) (int, error) {
	d.call()
	return d.Reader.Read(p)
}

func TestABodyIsUnderwayUntilItHasArrivedOrFailed(t *testing.T) {
	t.Parallel()
	const good = `{"session_id":"6530c0ffee00000000000001","timestamp":"2026-01-15T00:00:00Z","latitude":1,"longitude":2}`
	for name, body := range map[string]string{"arrived": good, "failed": "{"} {
		t.Run(name, func(t *testing.T) {
			var underway Underway
			reading := 0
			batch, err := Body(during{strings.NewReader(body), func() { reading = underway.Bodies() }}, NDJSON, Identity, Limits{Underway: &underway})
			if reading != 1 {
				t.Errorf("while it is read %d bodies are underway, want 1", reading)
			}
			if body != good {
				if err == nil || underway.Bodies() != 0 {
					t.Errorf("after a failure (%v) %d bodies are underway, want 0", err, underway.Bodies())
				}
				return
			}
			if err != nil || underway.Bodies() != 1 {
				t.Fatalf("once it is read (%v) %d bodies are underway, want 1", err, underway.Bodies())
			}
			batch.Arrived()
			batch.Release()
			if underway.Bodies() != 0 {
				t.Errorf("when it has arrived %d bodies are underway, want 0", underway.Bodies())
			}
		})
	}
}
