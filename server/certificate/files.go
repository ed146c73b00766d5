package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

const (
	// lookPeriod is the time between two looks at the files.
	lookPeriod = 5 * time.Second
	// warnBefore is how long before its end a certificate is said to end, or the last third of its life where that is less, and
	// warnPeriod the time between two such words.
	warnBefore = 14 * 24 * time.Hour
	warnPeriod = 24 * time.Hour
)

// Files is a certificate with its key in two PEM files. It is safe for concurrent use.
type Files struct {
	cert, key string
	log       *slog.Logger
	current   atomic.Pointer[pair]
	warned    time.Time // when the log last had a word about the certificate's end; Run's own
	refused   string    // why what is in the files now does not count; Run's own
}

// pair is what was read.
type pair struct {
	texts       [2][]byte
	certificate *tls.Certificate
}

var _ Source = (*Files)(nil)

// OpenFiles reads a certificate, with those that lead to its authority behind it, and its key. It refuses, in a sentence that
// says what to do, files that do not go together and a certificate that is not good now.
func OpenFiles(cert, key string, log *slog.Logger) (*Files, error) {
	f := &Files{cert: cert, key: key, log: log}
	p, err := f.read()
	if err != nil {
		return nil, err
	}
	if err := f.check(p, time.Now()); err != nil {
		return nil, err
	}
	f.current.Store(p)
	return f, nil
}

// read reads the files. The error is a sentence.
func (f *Files) read() (*pair, error) {
	p := new(pair)
	for i, path := range []string{f.cert, f.key} {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the certificate and its key (--tls-cert and --tls-key): %w", err)
		}
		p.texts[i] = text
	}
	return p, nil
}

// check parses what was read and says why it does not count.
func (f *Files) check(p *pair, now time.Time) error {
	parsed, err := tls.X509KeyPair(p.texts[0], p.texts[1])
	if err != nil {
		return fmt.Errorf("%s and %s are no certificate with its key, both in PEM: give the pair that belongs together (%w)", f.cert, f.key, err)
	}
	switch leaf := parsed.Leaf; {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate in %s expired on %s: put a new one there", f.cert, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate in %s is good from %s on only: wait, or look at this machine's clock", f.cert, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	p.certificate = &parsed
	return nil
}

// Config implements Source.
func (f *Files) Config() *tls.Config {
	return config(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.current.Load().certificate, nil })
}

// Run implements Source. It looks at the files every few seconds; what is in them and cannot count is said in the log, once, and
// the certificate before it goes on.
func (f *Files) Run(ctx context.Context) {
	again := time.NewTicker(lookPeriod)
	defer again.Stop()
	for {
		f.look(time.Now())
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// look takes what is in the files if it is new and can count.
func (f *Files) look(now time.Time) {
	p, err := f.read()
	if err == nil && f.same(p) {
		f.refused = ""
		f.warn(now)
		return
	}
	if err == nil {
		err = f.check(p, now)
	}
	if err != nil {
		f.refuse(err)
		f.warn(now)
		return
	}
	f.current.Store(p)
	f.refused, f.warned = "", time.Time{}
	f.log.Info("a new certificate counts for connections that begin from now on", "file", f.cert, "until", p.certificate.Leaf.NotAfter.UTC().Format(time.RFC3339))
}

// same reports whether what was read is what counts.
func (f *Files) same(p *pair) bool {
	current := f.current.Load()
	return bytes.Equal(current.texts[0], p.texts[0]) && bytes.Equal(current.texts[1], p.texts[1])
}

// refuse says once why what is in the files does not count. Between the writes of the two they do not go together, so it is said
// only of what is still so at the next look.
func (f *Files) refuse(why error) {
	const before = "?"
	switch text := why.Error(); f.refused {
	case text:
	case before + text:
		f.refused = text
		f.log.Error("the certificate that is in use goes on, for the one in the files cannot count", "error", why)
	default:
		f.refused = before + text
	}
}

// warn says once a day that the certificate ends soon.
func (f *Files) warn(now time.Time) {
	leaf := f.current.Load().certificate.Leaf
	ends := leaf.NotAfter
	soon := min(warnBefore, ends.Sub(leaf.NotBefore)/3)
	if now.Before(ends.Add(-soon)) || now.Sub(f.warned) < warnPeriod {
		return
	}
	f.warned = now
	f.log.Warn("the certificate expires soon, or has: put a new one into the file, which is read at once", "file", f.cert, "until", ends.UTC().Format(time.RFC3339))
}
