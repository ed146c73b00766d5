package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// soon is how long before its end a certificate is worth a word.
const soon = 14 * day

// examineCertificate judges the certificate with which the service has answered.
func (e *examination) examineCertificate(response *http.Response) {
	if response.TLS != nil && len(response.TLS.PeerCertificates) > 0 {
		e.judgeCertificate("the service", response.TLS.PeerCertificates[0].NotAfter)
	}
}

func (e *examination) judgeCertificate(whose string, ends time.Time) {
	left := time.Until(ends)
	const mend = "Renew it."
	switch {
	case left <= 0:
		e.add(Fail, "certificate", mend, "the certificate of %s has expired, at %s", whose, ends.UTC().Format(time.RFC3339))
	case left < soon:
		e.add(Warn, "certificate", mend, "the certificate of %s expires in %d days, at %s", whose, int(left/day), ends.UTC().Format(time.RFC3339))
	default:
		e.ok("certificate", "the certificate of %s is good until %s", whose, ends.UTC().Format(time.DateOnly))
	}
}

// examineStoreCertificates reads the dates of the certificates of a ClickHouse server's hosts, whether they are trusted or not, and
// of the client certificate.
func (e *examination) examineStoreCertificates(ctx context.Context) {
	address, err := url.Parse(e.Store.ClickHouse)
	if err != nil || address.Scheme != "https" {
		return
	}
	for host := range strings.SplitSeq(address.Host, ",") {
		dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: askTimeout}, Config: &tls.Config{InsecureSkipVerify: true}} // nothing is sent over it
		conn, err := dialer.DialContext(ctx, "tcp", host)
		if err != nil {
			continue // opening the store says what is wrong
		}
		if certificates := conn.(*tls.Conn).ConnectionState().PeerCertificates; len(certificates) > 0 {
			e.judgeCertificate("ClickHouse at "+host, certificates[0].NotAfter)
		}
		_ = conn.Close() // nothing was written
	}
	if e.Store.Security.Certificate == "" {
		return
	}
	text, err := os.ReadFile(e.Store.Security.Certificate)
	block, _ := pem.Decode(text)
	if err != nil || block == nil {
		return // opening the store says what is wrong
	}
	if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
		e.judgeCertificate("this client, for ClickHouse", certificate.NotAfter)
	}
}
