package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// TestAServerIsReachedWithTLSAndACertificate runs the service on a server whose listener has a certificate of
// an authority of its own and wants one from its clients, with the user and the password from the environment.
func TestAServerIsReachedWithTLSAndACertificate(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the test starts its own server")
	server, certificates := storeServer(t), clickhousetest.NewCertificates(t)
	address := "https://" + server.ListenTLS(t, certificates, true) + "/lastseen"
	dir := t.TempDir()
	s := startOnStore(t, storeEnv, dir, address, "--admin-addr=", "--clickhouse-ca="+certificates.CA,
		"--clickhouse-cert="+certificates.ClientCert, "--clickhouse-key="+certificates.ClientKey)
	s.begin(t, "org_tls")
	s.checkHistory(t)
	if err := s.terminate(); err != nil {
		t.Error(err)
	}
	for _, wrong := range []struct {
		name, says string
		env, flags []string
	}{
		{"without the authority", "certificate", storeEnv, nil},
		{"without a client certificate", "certificate", storeEnv, []string{"--clickhouse-ca=" + certificates.CA}},
		{"without the certificate's key", "needs its key", storeEnv, []string{"--clickhouse-ca=" + certificates.CA, "--clickhouse-cert=" + certificates.ClientCert}},
		{"with a file that is no certificate", "holds no certificate", storeEnv, []string{"--clickhouse-ca=" + certificates.ClientKey}},
	} {
		env := append(wrong.env, "LASTSEEN_CLICKHOUSE="+address)
		stdout, stderr, code := command(t, env, append([]string{"serve", "--addr=127.0.0.1:0", "--admin-addr=", "--data-dir=" + dir}, wrong.flags...)...)
		if code == 0 || !strings.Contains(stderr, wrong.says) || strings.Contains(stdout+stderr, "secret") {
			t.Errorf("%s: exit code %d, stderr %s", wrong.name, code, stderr)
		}
	}
}

// TestAServiceGoesOnWithTheNextHost kills the first of two ways to the store and then brings it back.
func TestAServiceGoesOnWithTheNextHost(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the test starts its own server")
	server := storeServer(t)
	first, second := newProxy("127.0.0.1:0", server), newProxy("127.0.0.1:0", server)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(first.Stop)
	t.Cleanup(second.Stop)
	s := startOnStore(t, storeEnv, t.TempDir(), "http://"+first.Listen+","+second.Listen+"/lastseen", "--admin-addr=")
	s.begin(t, "org_hosts")
	send := func(what string) {
		t.Helper()
		for range 20 {
			if status, _ := s.sendPoints(t, 1); status != http.StatusOK {
				t.Errorf("%s, points are answered %d", what, status)
			}
			s.checkHistory(t)
		}
	}
	first.Stop()
	send("without the first host")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	second.Stop()
	// The first host is asked five times a second whether it is back.
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if status, _ := s.sendPoints(t, 1); status == http.StatusOK {
			break
		}
		if time.Since(began) > 5*time.Second {
			t.Fatal("the host that has come back is not used")
		}
	}
	send("with the first host back and the second gone")
	if err := s.terminate(); err != nil {
		t.Error(err)
	}
}
