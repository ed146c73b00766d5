package caller

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// Credential returns the text that the caller authenticates with, which lives as long as the
// request, and nil when there is none: no Authorization header, another scheme than Bearer, or more
// than one header, of which we would have to guess the meant one. This is the only place that knows
// where credentials travel, but for browsers' cookies: see browser.go.
func Credential(ctx *fasthttp.RequestCtx) []byte {
	headers := ctx.Request.Header.PeekAll(fasthttp.HeaderAuthorization)
	if len(headers) != 1 {
		return nil
	}
	scheme, rest, found := bytes.Cut(headers[0], []byte{' '})
	if !found || !bytes.EqualFold(scheme, []byte("Bearer")) {
		return nil
	}
	if rest = bytes.Trim(rest, " \t"); len(rest) == 0 {
		return nil
	}
	return rest
}

// claimsToBeAPIKey reports whether a credential is meant as an API key, valid or not.
func claimsToBeAPIKey(credential []byte) bool {
	return bytes.HasPrefix(credential, apiKeyPrefix)
}
