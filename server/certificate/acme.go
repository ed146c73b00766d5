package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

const (
	// firstPause and lastPause are between what attempts to get a certificate are apart: each time twice as long as before.
	// Authorities count attempts that fail and refuse more than a few an hour.
	firstPause = time.Minute
	lastPause  = time.Hour
	// requestTime bounds one request to the authority.
	requestTime = 30 * time.Second
)

// ACMEOptions say which certificates to ask whom for.
type ACMEOptions struct {
	// Domains are the names that the service is reached by.
	Domains []string
	// Email is where the authority writes to; may be empty.
	Email string
	// Directory is the authority's address; empty means Let's Encrypt. CA is a PEM file with who has signed the authority's own
	// certificate; empty means those that the system knows.
	Directory, CA string
	// Dir is the folder for the account's key and the certificates, which nobody else may read.
	Dir string
	Log *slog.Logger
}

// ACME is certificates from an ACME authority (RFC 8555), which looks by the challenge tls-alpn-01 (RFC 8737) whether the names
// lead here: it connects to port 443 of each. It is safe for concurrent use.
type ACME struct {
	options  ACMEOptions
	manager  *autocert.Manager
	had      []atomic.Bool // by domain: a certificate is there, or was
	requests *untilStop
}

var _ Source = (*ACME)(nil)

// NewACME returns certificates that Run has to get.
func NewACME(options ACMEOptions) (*ACME, error) {
	client := &acme.Client{DirectoryURL: options.Directory, UserAgent: "lastseen"}
	if options.Directory == "" {
		client.DirectoryURL = autocert.DefaultACMEDirectory
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if options.CA != "" {
		trusted, err := trust(options.CA)
		if err != nil {
			return nil, err
		}
		secure.RootCAs = trusted
	}
	requests := newUntilStop(&http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: secure})
	client.HTTPClient = &http.Client{Timeout: requestTime, Transport: requests}
	for i, domain := range options.Domains {
		options.Domains[i] = strings.ToLower(strings.TrimSuffix(domain, "."))
	}
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for certificates: %w", err)
	}
	return &ACME{
		options: options, had: make([]atomic.Bool, len(options.Domains)), requests: requests,
		manager: &autocert.Manager{
			Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(options.Dir), HostPolicy: autocert.HostWhitelist(options.Domains...),
			Client: client, Email: options.Email,
		},
	}, nil
}

// trust reads who may have signed an authority's certificate.
func trust(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the authorities of --acme-ca: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s (--acme-ca) holds no certificate in PEM", file)
	}
	return pool, nil
}

// Config implements Source.
func (a *ACME) Config() *tls.Config { return config(a.get, acme.ALPNProto) }

// get returns the certificate for a connection. Who names nobody, as clients do that connect to an address, gets that of the first
// domain. While there is none, it does not ask the authority: Run does, and not more often than it may.
func (a *ACME) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Contains(hello.SupportedProtos, acme.ALPNProto) {
		return a.manager.GetCertificate(hello)
	}
	if hello.ServerName == "" {
		hello.ServerName = a.options.Domains[0]
	}
	i := slices.Index(a.options.Domains, strings.ToLower(strings.TrimSuffix(hello.ServerName, ".")))
	if i < 0 {
		return nil, errors.New("this is not one of the service's names")
	}
	if !a.had[i].Load() {
		return nil, errNoCertificate
	}
	return a.manager.GetCertificate(hello)
}

// errNoCertificate says that an ACME authority has given none yet.
var errNoCertificate = errors.New("there is no certificate for this name yet; the log says why")

// Run implements Source. It gets what is not there yet, and looks once a day whether what is there is renewed, which happens by
// itself.
func (a *ACME) Run(ctx context.Context) {
	defer context.AfterFunc(ctx, a.requests.end)()
	var domains sync.WaitGroup
	for i := range a.options.Domains {
		domains.Go(func() { a.keep(ctx, i) })
	}
	domains.Wait()
}

// keep gets the certificate of one domain, and says when it is not renewed.
func (a *ACME) keep(ctx context.Context, i int) {
	domain, log := a.options.Domains[i], a.options.Log
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, lastPause) {
		certificate, err := a.obtain(domain)
		if err == nil {
			a.had[i].Store(true)
			log.Info("the certificate is there", "domain", domain, "until", certificate.Leaf.NotAfter.UTC().Format(time.RFC3339))
			break
		}
		if ctx.Err() == nil {
			log.Error("no certificate could be had: the authority must reach this service at port 443 of the name, and takes only a few attempts an hour",
				"domain", domain, "error", err, "again_in", pause.String())
		}
		sleep(ctx, pause)
	}
	for ; ctx.Err() == nil; sleep(ctx, warnPeriod) {
		certificate, err := a.obtain(domain)
		if err == nil && time.Until(certificate.Leaf.NotAfter) < certificate.Leaf.NotAfter.Sub(certificate.Leaf.NotBefore)/6 {
			log.Warn("the certificate expires soon and could not be renewed: the authority must reach this service at port 443 of the name",
				"domain", domain, "until", certificate.Leaf.NotAfter.UTC().Format(time.RFC3339))
		}
	}
}

// obtain returns the certificate of a domain, as it is in memory, in the folder, or from the authority.
func (a *ACME) obtain(domain string) (*tls.Certificate, error) {
	return a.manager.GetCertificate(&tls.ClientHelloInfo{
		ServerName: domain, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, SupportedCurves: []tls.CurveID{tls.CurveP256},
	})
}

// untilStop makes requests until it is stopped, which ends those under way: the library's own attempts last for minutes.
type untilStop struct {
	inner http.RoundTripper
	stop  context.Context
	end   context.CancelFunc
}

func newUntilStop(inner http.RoundTripper) *untilStop {
	u := &untilStop{inner: inner}
	u.stop, u.end = context.WithCancel(context.Background())
	return u
}

// RoundTrip implements http.RoundTripper.
func (u *untilStop) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(request.Context())
	context.AfterFunc(u.stop, cancel)
	return u.inner.RoundTrip(request.WithContext(ctx))
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
