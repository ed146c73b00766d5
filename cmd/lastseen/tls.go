package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"lastseen/server/certificate"
)

// acmeFolder is the folder in the data directory with the ACME account's key and the certificates.
const acmeFolder = "acme"

// tlsFlags say with which certificate the service speaks TLS itself.
type tlsFlags struct {
	TLSCert string `name:"tls-cert" placeholder:"FILE" help:"PEM file with a certificate, and those that lead to its authority behind it: the service then speaks HTTPS, and nothing else. It is read again when it changes."`
	TLSKey  string `name:"tls-key" placeholder:"FILE" help:"PEM file with the certificate's key."`

	ACMEDomain    []string `name:"acme-domain" placeholder:"NAME" help:"Names by which the service is reached, separated by commas: it gets certificates for them from an ACME authority, whose terms you accept thereby, and speaks HTTPS. Port 443 of each must lead here."`
	ACMEEmail     string   `name:"acme-email" placeholder:"ADDRESS" help:"Where the authority writes to."`
	ACMEDirectory string   `name:"acme-directory" placeholder:"URL" help:"The authority's directory; by default that of Let's Encrypt."`
	ACMECA        string   `name:"acme-ca" placeholder:"FILE" help:"PEM file with who has signed the authority's own certificate, besides those whom the system knows."`
}

// Validate refuses flags that do not go together.
func (f *tlsFlags) Validate() error {
	switch {
	case (f.TLSCert == "") != (f.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key belong together: give both")
	case f.TLSCert != "" && len(f.ACMEDomain) > 0:
		return errors.New("--tls-cert and --acme-domain exclude each other: give one of them")
	case len(f.ACMEDomain) == 0 && (f.ACMEEmail != "" || f.ACMEDirectory != "" || f.ACMECA != ""):
		return errors.New("--acme-email, --acme-directory and --acme-ca need --acme-domain")
	case f.ACMEDirectory != "" && !strings.HasPrefix(f.ACMEDirectory, "https://"):
		return errors.New("--acme-directory must begin with https://")
	}
	for _, domain := range f.ACMEDomain {
		if !strings.Contains(strings.Trim(domain, "."), ".") || strings.ContainsAny(domain, ":/* ") {
			return errors.New("--acme-domain must be names such as tracking.example, without https:// and wildcards")
		}
	}
	return nil
}

// on reports whether the service speaks TLS itself.
func (f *tlsFlags) on() bool { return f.TLSCert != "" || len(f.ACMEDomain) > 0 }

// source opens what the flags name; nil without TLS.
func (f *tlsFlags) source(dataDir string, log *slog.Logger) (certificate.Source, error) {
	switch {
	case f.TLSCert != "":
		return certificate.OpenFiles(f.TLSCert, f.TLSKey, log)
	case len(f.ACMEDomain) > 0:
		return certificate.NewACME(certificate.ACMEOptions{
			Domains: f.ACMEDomain, Email: f.ACMEEmail, Directory: f.ACMEDirectory, CA: f.ACMECA,
			Dir: filepath.Join(dataDir, acmeFolder), Log: log,
		})
	}
	return nil, nil
}

// keepCertificates keeps the certificates up to date until the service stops.
func keepCertificates(a *App) {
	if a.config.certificates == nil {
		return
	}
	running, stop := context.WithCancel(context.Background())
	var keeping sync.WaitGroup
	keeping.Go(func() { a.config.certificates.Run(running) })
	a.onStop("keeping the certificates", func(context.Context) error {
		stop()
		keeping.Wait()
		return nil
	})
}
