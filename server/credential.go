package server

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// credential returns the text that the caller authenticates with, which lives as long as the
// request, and nil when there is none: no Authorization header, another scheme than Bearer, or more
// than one header, of which we would have to guess the meant one. This is the only place that knows
// where credentials travel, but for browsers' cookies: see browser.go.
func credential(ctx *fasthttp.RequestCtx) []byte {
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

var (
	apiKeyPrefix           = []byte("ak_")
	deviceCredentialPrefix = []byte("dk_")
	tokenPrefix            = []byte("eyJ") // the beginning of `{"` in base64, so of every JWT
)

// claimsToBeAPIKey reports whether a credential is meant as an API key, valid or not.
func claimsToBeAPIKey(credential []byte) bool {
	return bytes.HasPrefix(credential, apiKeyPrefix)
}

// secretLength is how many letters and digits must follow a credential's prefix for a text to be
// taken for one. Keys have 49; references and searches that people type are shorter.
const secretLength = 24

// holdsCredential reports whether a text holds something that looks like a key or a token.
func holdsCredential(text []byte) bool {
	// Nearly every text is out of the question by two searches that are done a vector at a time.
	if bytes.IndexByte(text, '_') < 0 && !bytes.Contains(text, tokenPrefix) {
		return false
	}
	for i := range text {
		rest := text[i:]
		if rest[0] != 'a' && rest[0] != 'd' && rest[0] != 'e' || i > 0 && isWord(text[i-1]) {
			continue
		}
		if bytes.HasPrefix(rest, apiKeyPrefix) || bytes.HasPrefix(rest, deviceCredentialPrefix) || bytes.HasPrefix(rest, tokenPrefix) {
			if wordLength(rest[len(apiKeyPrefix):]) >= secretLength || bytes.HasPrefix(rest, tokenPrefix) && wordLength(rest) >= 8 && bytes.Count(rest, []byte{'.'}) >= 2 {
				return true
			}
		}
	}
	return false
}

// wordLength returns how many letters, digits, hyphens and underscores a text begins with.
func wordLength(text []byte) int {
	n := 0
	for n < len(text) && isWord(text[n]) {
		n++
	}
	return n
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-'
}

// credentialParameters are the names under which clients of other services send credentials in URLs.
var credentialParameters = map[string]bool{
	"api_key": true, "apikey": true, "api-key": true, "access_token": true, "authorization": true,
	"token": true, "bearer": true, "id_token": true,
}

// credentialInURL reports whether a request's parameters hold a credential.
func credentialInURL(args *fasthttp.Args) bool {
	for name, value := range args.All() {
		if holdsCredential(value) || holdsCredential(name) || len(value) > 0 && credentialParameters[string(name)] {
			return true
		}
	}
	return false
}
