package schema

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Security says as whom to come to a ClickHouse server and how to know it. The zero value is what its
// address says, with the system's authorities for https.
type Security struct {
	// User and Password count where the address has none.
	User, Password string
	// CA is a PEM file with the authorities that the servers' certificates may be from; empty means those
	// of the system.
	CA string
	// Certificate and Key are PEM files of a client certificate; both or neither.
	Certificate, Key string
}

// apply puts the security into the options of a server's address.
func (s Security) apply(options *clickhouse.Options) error {
	options.Auth.Username = cmp.Or(options.Auth.Username, s.User)
	options.Auth.Password = cmp.Or(options.Auth.Password, s.Password)
	if s.CA == "" && s.Certificate == "" && s.Key == "" {
		return nil
	}
	if options.TLS == nil {
		return errors.New("certificates for ClickHouse need an address that begins with https://")
	}
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			return fmt.Errorf("read the authorities of ClickHouse's certificates: %w", err)
		}
		options.TLS.RootCAs = x509.NewCertPool()
		if !options.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("the file %s holds no certificate: it must be one in PEM form", s.CA)
		}
	}
	if s.Certificate == "" && s.Key == "" {
		return nil
	}
	if s.Certificate == "" || s.Key == "" {
		return errors.New("a client certificate for ClickHouse needs its key, and a key its certificate")
	}
	pair, err := tls.LoadX509KeyPair(s.Certificate, s.Key)
	if err != nil {
		return fmt.Errorf("read the client certificate for ClickHouse: %w", err)
	}
	options.TLS.Certificates = []tls.Certificate{pair}
	return nil
}
