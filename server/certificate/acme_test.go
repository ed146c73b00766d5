package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// name is the domain of the tests; their resolver says that every name is this machine.
const name = "tracking.example"

// usual is how long Let's Encrypt's certificates are good.
const usual = 90 * 24 * time.Hour

// authority starts an ACME authority whose certificates are good for some whole seconds, and that looks for challenges at a port of
// this machine. It returns where it is, and the file with the certificate that it shows there.
func authority(t *testing.T, port int, good time.Duration) (directory, file string, stop func()) {
	t.Helper()
	for variable, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"} {
		t.Setenv(variable, value)
	}
	silent := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(silent, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: uint64(good.Seconds())}})
	front := wfe.New(silent, store, va.New(silent, 0, port, false, resolver(t), store), issuer, nil, false, false, 1, 1)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)
	file = filepath.Join(t.TempDir(), "authority.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL + wfe.DirectoryPath, file, server.Close
}

// resolver starts a DNS server that knows one answer.
func resolver(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: listener, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		answer := new(dns.Msg).SetReply(question)
		if q := question.Question[0]; q.Qtype == dns.TypeA {
			answer.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(answer)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.ActivateAndServe() })
	t.Cleanup(func() {
		_ = server.Shutdown()
		serving.Wait()
	})
	return listener.Addr().String()
}

// site is a listener whose certificates are from an authority.
type site struct {
	*ACME
	address string
	log     *lockedBuffer
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// serve keeps certificates for a listener until stop.
func serve(t *testing.T, listener net.Listener, options ACMEOptions) (s *site, stop func()) {
	t.Helper()
	s = &site{address: listener.Addr().String(), log: new(lockedBuffer)}
	options.Domains, options.Log = []string{name}, slog.New(slog.NewTextHandler(s.log, nil))
	acme, err := NewACME(options)
	if err != nil {
		t.Fatal(err)
	}
	s.ACME = acme
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { acme.Run(ctx) })
	running.Go(func() {
		for secure := tls.NewListener(listener, acme.Config()); ; {
			c, err := secure.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).Handshake()
			c.Close()
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		listener.Close()
		running.Wait()
	})
	t.Cleanup(stop)
	return s, stop
}

// certificate is what a site shows.
func (s *site) certificate(server string) (*x509.Certificate, error) {
	c, err := tls.Dial("tcp", s.address, &tls.Config{ServerName: server, InsecureSkipVerify: true}) // the authority of a test is nobody's
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

// issuer is who has signed the certificate that a site shows.
func (s *site) issuer(server string) (string, error) {
	shown, err := s.certificate(server)
	if err != nil {
		return "", err
	}
	return shown.Issuer.CommonName, nil
}

// awaitIssuer waits for a certificate.
func (s *site) awaitIssuer(t *testing.T) string {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		issuer, err := s.issuer(name)
		if err == nil {
			return issuer
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("there is no certificate: %v\n%s", err, s.log)
		}
	}
}

func listen(t *testing.T) (listener net.Listener, port int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener, listener.Addr().(*net.TCPAddr).Port
}

// TestACMEGetsACertificateAndKeepsIt: by a challenge that is answered where connections are accepted, and for the next start.
func TestACMEGetsACertificateAndKeepsIt(t *testing.T) {
	listener, port := listen(t)
	directory, file, stopAuthority := authority(t, port, usual)
	options := ACMEOptions{Directory: directory, CA: file, Dir: filepath.Join(t.TempDir(), "acme"), Email: "ops@tracking.example"}
	s, stop := serve(t, listener, options)
	if issuer := s.awaitIssuer(t); !strings.HasPrefix(issuer, "Pebble ") {
		t.Errorf("the certificate is from %q", issuer)
	}
	if issuer, err := s.issuer(""); err != nil || !strings.HasPrefix(issuer, "Pebble ") {
		t.Errorf("who connects to the address gets %q, %v", issuer, err)
	}
	if _, err := s.issuer("other.example"); err == nil {
		t.Error("there is a certificate for another name")
	}
	checkPrivate(t, options.Dir)
	stop()
	stopAuthority()
	next, _ := listen(t)
	again, _ := serve(t, next, options)
	if issuer := again.awaitIssuer(t); !strings.HasPrefix(issuer, "Pebble ") {
		t.Errorf("after a restart the certificate is from %q", issuer)
	}
}

// TestACMERenewsACertificateBeforeItExpires: when a third of its life is left, under way, and nobody sees an expired one.
func TestACMERenewsACertificateBeforeItExpires(t *testing.T) {
	if os.Getenv("LASTSEEN_TEST_TLS") == "" {
		t.Skip("make test-tls runs it, for it waits")
	}
	listener, port := listen(t)
	directory, file, _ := authority(t, port, 12*time.Second)
	s, _ := serve(t, listener, ACMEOptions{Directory: directory, CA: file, Dir: t.TempDir()})
	s.awaitIssuer(t)
	first, err := s.certificate(name)
	if err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		shown, err := s.certificate(name)
		if err != nil || time.Now().After(shown.NotAfter) {
			t.Fatalf("%s after the first certificate another one is not shown: %v, %+v\n%s", time.Since(began), err, shown, s.log)
		}
		if shown.SerialNumber.Cmp(first.SerialNumber) != 0 {
			return
		}
	}
}

// checkPrivate checks that nobody else may read the keys.
func checkPrivate(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %s", path, info.Mode())
		}
		if !entry.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files < 2 {
		t.Errorf("%d files, %v", files, err)
	}
}

// TestACMEThatFailsIsSaidAndTriedAgainSeldom: connections meanwhile ask the authority for nothing.
func TestACMEThatFailsIsSaidAndTriedAgainSeldom(t *testing.T) {
	listener, _ := listen(t)
	nobody, elsewhere := listen(t)
	nobody.Close()
	directory, file, _ := authority(t, elsewhere, usual) // looks where nobody answers
	s, stop := serve(t, listener, ACMEOptions{Directory: directory, CA: file, Dir: t.TempDir()})
	for began := time.Now(); !strings.Contains(s.log.String(), "no certificate could be had"); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("the log says nothing: %s", s.log)
		}
	}
	for range 5 {
		if _, err := s.issuer(name); err == nil {
			t.Error("there is a certificate")
		}
	}
	stop()
	if said := strings.Count(s.log.String(), "no certificate could be had"); said != 1 || !strings.Contains(s.log.String(), "again_in=1m0s") {
		t.Errorf("it is said %d times:\n%s", said, s.log)
	}
}
