package caller

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"lastseen/keys/apikey"
)

var (
	apiKeyPrefix           = []byte(apikey.Prefix)
	deviceCredentialPrefix = []byte(apikey.DevicePrefix)
	tokenPrefix            = []byte("eyJ") // the beginning of `{"` in base64, so of every JWT
)

// secretLength is how many letters and digits must follow a credential's prefix for a text to be
// taken for one. Keys have 49; references and searches that people type are shorter.
const secretLength = 24

// HoldsCredential reports whether a text holds something that looks like a key or a token.
func HoldsCredential(text []byte) bool {
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

// InURL reports whether a request's parameters hold a credential.
func InURL(args *fasthttp.Args) bool {
	for name, value := range args.All() {
		if HoldsCredential(value) || HoldsCredential(name) || len(value) > 0 && credentialParameters[string(name)] {
			return true
		}
	}
	return false
}
