package lease

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
)

// Retire is for those who write without the lease, several nodes: it returns when nobody has it, and fails with a *HeldError where
// somebody has it and lives. A holder that is not known to live is waited for as in Acquire, and then written down as one that has given
// the lease up, so that nobody has to wait for it again; should it live after all, its next renewal fails. The caller is self, of whom
// Node, Host and Dir are given, and holds the lock of self.Dir.
func Retire(ctx context.Context, register Register, self Holder, options Options) error {
	options = options.whole()
	for {
		seen, err := look(ctx, register)
		if err != nil || seen.Holder.Node == "" || seen.Holder.Left {
			return err
		}
		if err := retire(ctx, register, seen, self, options); !errors.Is(err, ErrMoved) {
			return err
		}
		// Another node does the same. Who looks again sees that it has.
		if err := pause(ctx, rand.N(options.Length/10)); err != nil {
			return err
		}
	}
}

// retire is Retire for once. It fails with ErrMoved when others were there at the same time.
func retire(ctx context.Context, register Register, seen View, self Holder, options Options) error {
	self.Claim = cryptorand.Text()
	if err := succeed(ctx, register, seen, self, options); err != nil {
		return err
	}
	dead := seen.Holder
	dead.Claim, dead.Left = self.Claim, true
	dead.Beat++
	if err := register.Beat(ctx, seen.Epoch+1, dead); err != nil {
		return fmt.Errorf("write down that the lease of the database has ended: %w", err)
	}
	options.Log.Info("the lease of the other lastseen has ended", "host", dead.Host, "pid", dead.PID)
	return nil
}
