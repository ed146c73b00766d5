// Package certificatetest makes certificates for tests, each signed by itself.
package certificatetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Pair is a certificate and its key in two PEM files.
type Pair struct{ Cert, Key string }

// New makes a folder with a certificate for 127.0.0.1 and localhost that is good for an hour.
func New(tb testing.TB) Pair {
	tb.Helper()
	dir := tb.TempDir()
	p := Pair{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	p.Renew(tb, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	return p
}

// Renew puts another certificate, with another key, into the files.
func (p Pair) Renew(tb testing.TB, from, until time.Time) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "lastseen's test"}, NotBefore: from, NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err == nil {
		err = errors.Join(write(p.Cert, "CERTIFICATE", cert), write(p.Key, "PRIVATE KEY", encoded))
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func write(path, kind string, content []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600)
}

// Client is what a client that trusts the certificate, and no other, connects with.
func (p Pair) Client(tb testing.TB) *tls.Config {
	tb.Helper()
	text, err := os.ReadFile(p.Cert)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		tb.Fatalf("%s has no certificate", p.Cert)
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}
