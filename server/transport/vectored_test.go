package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// send collects what is written and sends it.
func send(a *Answer, parts ...string) error {
	err := a.Collect(func() error {
		for _, part := range parts {
			if _, err := io.WriteString(a.conn, part); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.Send()
}

func TestAPieceGoesOnAfterAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, far := pipe(t)
		a, began := c.BeginAnswer(20*time.Second, time.Time{}), time.Now()
		long := strings.Repeat("x", ShortPart+1)
		if err := send(a, "a", long, "b"); err != ErrStalled || time.Since(began) != StallTime {
			t.Fatalf("nobody reads: %v after %v", err, time.Since(began))
		}
		got := make(chan string)
		go func() {
			time.Sleep(10 * time.Second)
			all := make([]byte, len(long)+3)
			n, _ := io.ReadFull(far, all)
			got <- string(all[:n])
		}()
		if err := a.Send(); err != nil {
			t.Errorf("the piece is not accepted though it is read: %v", err)
		}
		if err := send(a, "c"); err != nil {
			t.Errorf("the next piece is not accepted: %v", err)
		}
		if all := <-got; all != "a"+long+"bc" {
			t.Errorf("%d bytes came, which begin with %.5q", len(all), all)
		}
	})
}

func TestAnAnswerThatNobodyReadsEnds(t *testing.T) {
	for name, test := range map[string]struct {
		patience, ends, want time.Duration
	}{
		"when the patience for a piece does":        {20 * time.Second, 0, StallTime + 20*time.Second},
		"when the whole must":                       {20 * time.Second, 3 * time.Second, 3 * time.Second},
		"at once, when the patience is that little": {time.Millisecond, time.Nanosecond, time.Nanosecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := pipe(t)
				began, ends := time.Now(), time.Time{}
				if test.ends > 0 {
					ends = began.Add(test.ends)
				}
				a := c.BeginAnswer(test.patience, ends)
				err := send(a, "a")
				if err == ErrStalled {
					err = a.Send()
				}
				if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != test.want {
					t.Errorf("it ended after %v, want %v: %v", took, test.want, err)
				}
			})
		})
	}
}

func TestWhatIsSentAfterAnAnswerBelongsToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := pipe(t)
		c.BeginAnswer(time.Minute, time.Now().Add(time.Second))
		began := time.Now()
		if _, err := io.WriteString(c, "the end"); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("the end of the answer may take %v: %v", time.Since(began), err)
		}
		Idle(net.Conn(c), true)
		if err := c.SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		if _, err := io.WriteString(c, "the next answer"); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Hour {
			t.Errorf("the next answer may take %v: %v", time.Since(began), err)
		}
	})
}

func TestHoldingTwiceIsNoticed(t *testing.T) {
	c, _, _ := pipe(t)
	if c.Hold() || !c.Hold() {
		t.Error("the second time is not told from the first")
	}
	if (*Conn)(nil).Hold() || (*Conn)(nil).Pipelined() || (*Conn)(nil).Slot() != nil {
		t.Error("a connection of another kind is held")
	}
}
