package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"lastseen.example/client"
)

// examineService asks the service whether it lives and serves, what time it has, and which certificate.
func (e *examination) examineService(ctx context.Context) {
	began := time.Now()
	status, _, header, err := e.get(ctx, strings.TrimRight(e.Server, "/")+"/healthz", e.examineCertificate)
	asked := time.Since(began)
	if untrusted, is := errors.AsType[*tls.CertificateVerificationError](err); is {
		e.add(Fail, "certificate", "Renew it, or have this machine trust its authority (SSL_CERT_FILE).", "the certificate of the service at %s is not accepted: %v", e.Server, untrusted.Err)
		return
	}
	if err != nil {
		e.add(Fail, "service", "Start it (lastseen serve), or name its address with --server.", "nothing answers at %s: %v", e.Server, err)
		return
	}
	if status != http.StatusOK {
		e.add(Fail, "service", "Name the address of lastseen serve with --server.", "what answers at %s is not lastseen: %d", e.Server, status)
		return
	}
	e.serves = true
	e.ok("service", "it lives at %s", e.Server)
	if at, err := http.ParseTime(header.Get("Date")); err == nil {
		const half = time.Second / 2 // the field has whole seconds
		e.judgeClock("the service", thisMachines, at.Add(half).Sub(began.Add(asked/2)), half+asked/2)
	}
	e.examineReadiness(ctx)
	e.examineToken(ctx)
}

func (e *examination) examineReadiness(ctx context.Context) {
	status, body, _, err := e.get(ctx, strings.TrimRight(e.Server, "/")+"/readyz", nil)
	switch {
	case err != nil:
		e.add(Fail, "ready", "Look at its log.", "it does not say whether it can serve: %v", err)
	case status == http.StatusOK:
		e.ok("ready", "it can serve")
	default:
		var problem struct{ Detail string }
		_ = json.Unmarshal(body, &problem) // what does not read says nothing
		e.add(Fail, "ready", "Mend what it says; its log has the cause.", "it cannot serve (%d): %s", status, problem.Detail)
	}
}

// examineToken names the keys of the token's organisation that expire soon.
func (e *examination) examineToken(ctx context.Context) {
	if e.Token == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	server, err := client.New(e.Server, e.Token)
	if err == nil {
		defer server.Close()
		var keys []client.KeyRecord
		if keys, err = server.ListKeys(ctx, url.Values{"status": {"expiring"}}); err == nil {
			e.ok("token", "the token is good, and its organisation has %d keys that expire within 7 days", len(keys))
			for _, key := range keys {
				e.add(Warn, "key", "lastseen keys rotate --id "+key.ID+" replaces it without a gap.", "the key %q (%s) expires at %s", key.Name, key.Prefix, key.ExpiresAt.UTC().Format(time.RFC3339))
			}
			return
		}
	}
	e.add(Warn, "token", "Give a token of an Owner or Administrator, or none.", "the keys of the token's organisation could not be listed: %v", err)
}

// get makes a request without a credential. look is shown the answer, when it is not nil.
func (e *examination) get(ctx context.Context, address string, look func(*http.Response)) (status int, body []byte, header http.Header, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, nil, errors.New("it is no address such as http://127.0.0.1:8080")
	}
	response, err := e.http.Do(request)
	if failed, is := errors.AsType[*url.Error](err); is {
		err = failed.Err // the address is said anyway
	}
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	if look != nil {
		look(response)
	}
	body, err = io.ReadAll(io.LimitReader(response.Body, 16<<20))
	return response.StatusCode, body, response.Header, err
}
