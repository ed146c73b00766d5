// Package certificate has the certificates with which the service speaks TLS itself: from files (files.go), which are read again
// when they change, or from an ACME authority (acme.go), which is asked for one and for its successors. Connections that are
// open keep what they began with; those that come later get the newest.
//
// It knows neither connections nor requests: what it gives is a configuration of TLS.
package certificate

import (
	"context"
	"crypto/tls"
)

// Source is where certificates come from.
type Source interface {
	// Config is the configuration of TLS, which is good for as long as the process lives.
	Config() *tls.Config
	// Run keeps the certificates up to date until ctx ends. The service must be reachable meanwhile.
	Run(ctx context.Context)
}

// config is what all sources have in common: TLS 1.2 and 1.3, and HTTP/1.1, the only protocol of the service.
func config(get func(*tls.ClientHelloInfo) (*tls.Certificate, error), also ...string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: append([]string{"http/1.1"}, also...), GetCertificate: get}
}
