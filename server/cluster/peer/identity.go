package peer

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// The protocols of a port, as TLS negotiates them.
const (
	protocolMessages = "lastseen-peer"
	protocolRequests = "http/1.1"
	protocolStatus   = "lastseen-status"
)

// Identity is what the nodes of a service have in common and nobody else has.
type Identity struct {
	certificate tls.Certificate
	public      ed25519.PublicKey
}

// NewIdentity makes the identity from a secret of ed25519.SeedSize bytes that is derived from the issuer's key.
func NewIdentity(secret []byte) (*Identity, error) {
	if len(secret) != ed25519.SeedSize {
		return nil, fmt.Errorf("a key between nodes is made from %d bytes, not from %d", ed25519.SeedSize, len(secret))
	}
	key := ed25519.NewKeyFromSeed(secret)
	public := key.Public().(ed25519.PublicKey)
	// Nobody looks at the times: the key alone counts, and a node whose clock is wrong must be able to say so.
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lastseen"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate between nodes: %w", err)
	}
	return &Identity{certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, public: public}, nil
}

// Fingerprint tells an identity from another one, and nothing of its key. Nodes of one service have the same.
func (i *Identity) Fingerprint() string { return fingerprint(i.public) }

func fingerprint(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// config is one for either side. What is usual to verify of a certificate would be verified against nothing: see check.
func (i *Identity) config(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{i.certificate}, NextProtos: protocols,
		ClientAuth: tls.RequireAnyClientCert, InsecureSkipVerify: true, SessionTicketsDisabled: true,
	}
}

// errOtherKey is in the chain of what check returns of a node of another service.
var errOtherKey = errors.New("another issuer key")

// check fails unless the other side has this identity's key. It is called after the handshake, in which the other side has proved that it
// has the key of its certificate, and before anything is sent: so each side can say what is wrong.
func (i *Identity) check(state tls.ConnectionState, address string) error {
	theirs, is := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if is && theirs.Equal(i.public) {
		return nil
	}
	other := "of another kind"
	if is {
		other = fingerprint(theirs)
	}
	return fmt.Errorf("the node at %s has %w (%s, this one has %s): copy the file issuer.key of one node's data directory to all", address, errOtherKey, other, i.Fingerprint())
}
