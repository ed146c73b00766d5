package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/server/certificate/certificatetest"
)

// TestTheServiceSpeaksTLSItself: the real binary, its own client, and a certificate that is replaced under an open connection.
func TestTheServiceSpeaksTLSItself(t *testing.T) {
	t.Parallel()
	pair := certificatetest.New(t)
	dir := t.TempDir()
	s, err := startService(dir, "--admin-addr=", "--tls-cert", pair.Cert, "--tls-key", pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.process.ProcessState == nil {
			s.kill()
		}
	})
	address := strings.TrimPrefix(s.base, "http://")
	first := pair.Client(t)
	opened, err := tls.Dial("tcp", address, first)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	env := []string{"LASTSEEN_SERVER=https://" + address, "SSL_CERT_FILE=" + pair.Cert, "LASTSEEN_TOKEN=" + s.token(t, "org_tls", keys.RoleOwner)}
	stdout, stderr, code := command(t, env, "keys", "create", "--name", "over TLS")
	if code != 0 || !strings.HasPrefix(stdout, "ak_") {
		t.Errorf("keys create: exit code %d, %q, %q", code, stdout, stderr)
	}
	pair.Renew(t, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)) // which does not count
	if c, err := tls.Dial("tcp", address, first); err != nil {
		t.Errorf("with an expired certificate in the file: %v", err)
	} else {
		c.Close()
	}
	pair.Renew(t, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		c, err := tls.Dial("tcp", address, pair.Client(t))
		if err == nil {
			c.Close()
			break
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("the new certificate does not count: %v", err)
		}
	}
	if _, err := fmt.Fprintf(opened, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(opened)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		t.Errorf("the connection that was open is answered %q, %v", answer, err)
	}
	if err := s.terminate(); err != nil {
		t.Error(err)
	}
	if log := s.log.String(); !strings.Contains(log, `"console":"https://`) {
		t.Error("the address of the console does not begin with https://")
	}
}

func TestWhatCannotBeServedWithTLSIsSaidInASentence(t *testing.T) {
	t.Parallel()
	pair, other, expired := certificatetest.New(t), certificatetest.New(t), certificatetest.New(t)
	expired.Renew(t, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	early := certificatetest.New(t)
	early.Renew(t, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no key":              {[]string{"--tls-cert", pair.Cert}, 2, "--tls-cert and --tls-key belong together"},
		"no file":             {[]string{"--tls-cert", "absent", "--tls-key", pair.Key}, 1, "open absent"},
		"another's key":       {[]string{"--tls-cert", pair.Cert, "--tls-key", other.Key}, 1, "give the pair that belongs together"},
		"expired":             {[]string{"--tls-cert", expired.Cert, "--tls-key", expired.Key}, 1, "expired on "},
		"not good yet":        {[]string{"--tls-cert", early.Cert, "--tls-key", early.Key}, 1, "look at this machine's clock"},
		"both ways":           {[]string{"--tls-cert", pair.Cert, "--tls-key", pair.Key, "--acme-domain", "tracking.example"}, 2, "exclude each other"},
		"an address":          {[]string{"--acme-domain", "https://tracking.example"}, 2, "names such as tracking.example"},
		"a public URL":        {[]string{"--tls-cert", pair.Cert, "--tls-key", pair.Key, "--public-url", "http://tracking.example"}, 2, "--public-url must begin with https://"},
		"an authority's file": {[]string{"--acme-domain", "tracking.example", "--acme-ca", pair.Key}, 1, "holds no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := command(t, nil, append([]string{"serve", "--data-dir", t.TempDir(), "--addr", "127.0.0.1:0"}, test.args...)...)
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			if last := lines[len(lines)-1]; code != test.code || stdout != "" || !strings.HasPrefix(last, "lastseen: ") || !strings.Contains(last, test.want) {
				t.Errorf("exit code %d, stdout %q, stderr %q, want %d and %q", code, stdout, stderr, test.code, test.want)
			}
		})
	}
}
