package clickhousetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Certificates are PEM files of an authority of a test's own and of what it has signed.
type Certificates struct {
	CA                     string
	ServerCert, ServerKey  string // for the servers' address
	ClientCert, ClientKey  string
	authority              *x509.Certificate
	authorityKey           *ecdsa.PrivateKey
	serverPair, clientPair tls.Certificate
}

// NewCertificates makes an authority and one certificate for a server and one for a client, for an hour.
func NewCertificates(tb testing.TB) *Certificates {
	tb.Helper()
	dir := tb.TempDir()
	c := &Certificates{
		CA:         filepath.Join(dir, "ca.pem"),
		ServerCert: filepath.Join(dir, "server.pem"), ServerKey: filepath.Join(dir, "server-key.pem"),
		ClientCert: filepath.Join(dir, "client.pem"), ClientKey: filepath.Join(dir, "client-key.pem"),
	}
	err := c.make()
	if err != nil {
		tb.Fatalf("make certificates: %v", err)
	}
	return c
}

func (c *Certificates) make() (err error) {
	if err := c.makeAuthority(); err != nil {
		return err
	}
	if c.serverPair, err = c.sign("server", c.ServerCert, c.ServerKey); err != nil {
		return err
	}
	c.clientPair, err = c.sign("client", c.ClientCert, c.ClientKey)
	return err
}

// template is a certificate that is valid for an hour from now.
func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(host)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func (c *Certificates) makeAuthority() (err error) {
	if c.authorityKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	authority := template("clickhousetest")
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, &c.authorityKey.PublicKey, c.authorityKey)
	if err != nil {
		return err
	}
	if c.authority, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	return writePEM(c.CA, "CERTIFICATE", der)
}

// sign makes a key and a certificate for it.
func (c *Certificates) sign(name, certificate, key string) (tls.Certificate, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template(name), c.authority, &private.PublicKey, c.authorityKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private},
		errors.Join(writePEM(certificate, "CERTIFICATE", der), writePEM(key, "PRIVATE KEY", encoded))
}

func writePEM(path, kind string, content []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600)
}

// ListenTLS makes a server reachable with TLS for as long as the test lasts, and returns the address. The
// engine's own listeners have no TLS, so a tunnel in this process ends it, as a proxy before a server
// would. With clientCertificates it refuses clients without one of the authority.
func (s *Server) ListenTLS(tb testing.TB, certificates *Certificates, clientCertificates bool) (address string) {
	tb.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{certificates.serverPair}, ClientCAs: x509.NewCertPool()}
	config.ClientCAs.AddCert(certificates.authority)
	if clientCertificates {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	listener, err := tls.Listen("tcp", net.JoinHostPort(host, "0"), config)
	if err != nil {
		tb.Fatal(err)
	}
	t := &tunnel{listener: listener, to: s.Address()}
	t.running.Go(t.accept)
	tb.Cleanup(t.close)
	return listener.Addr().String()
}

// tunnel passes connections on.
type tunnel struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup
	open     sync.Map // of net.Conn
}

func (t *tunnel) accept() {
	for {
		conn, err := t.listener.Accept()
		if err != nil {
			return
		}
		t.running.Go(func() { t.pass(conn) })
	}
}

// pass copies both ways until either side ends.
func (t *tunnel) pass(conn net.Conn) {
	defer conn.Close()
	t.open.Store(conn, true)
	defer t.open.Delete(conn)
	server, err := net.Dial("tcp", t.to)
	if err != nil {
		return
	}
	defer server.Close()
	t.open.Store(server, true)
	defer t.open.Delete(server)
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(conn, server)
		conn.Close()
	})
	_, _ = io.Copy(server, conn)
	server.Close()
	answers.Wait()
}

func (t *tunnel) close() {
	t.listener.Close()
	t.open.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
	t.running.Wait()
}
