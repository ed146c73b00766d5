package caller

import (
	"bytes"
	"encoding/base64"

	"github.com/valyala/fasthttp"
)

// PathCredential is the name of the segment of a path in which apps that can set no header carry their
// device credential.
const PathCredential = "credential"

// Credential returns the text that the caller authenticates with, which lives as long as the
// request, and nil when there is none: no Authorization header, another scheme than Bearer, or more
// than one header, of which we would have to guess the meant one. For a route that is for apps it looks
// where apps can put one. This is the only place that knows where credentials travel, but for browsers'
// cookies (browser.go) and the one header of polls on the direct way (transport.Plain).
func Credential(ctx *fasthttp.RequestCtx, access *Access) []byte {
	headers := ctx.Request.Header.PeekAll(fasthttp.HeaderAuthorization)
	if len(headers) > 1 {
		return nil
	}
	if len(headers) == 1 {
		scheme, rest, found := bytes.Cut(headers[0], []byte{' '})
		rest = bytes.Trim(rest, " \t")
		switch {
		case !found || len(rest) == 0:
		case bytes.EqualFold(scheme, []byte("Bearer")):
			return rest
		case access.Apps && bytes.EqualFold(scheme, []byte("Basic")):
			if password := basicPassword(rest); len(password) > 0 {
				return password
			}
		}
	}
	if access.Apps {
		return credentialInURL(ctx)
	}
	return nil
}

// basicPassword is the password of Basic authentication, whose user's name says nothing here. Overland
// writes its token as it is, in place of the base64 of a name and a password.
func basicPassword(text []byte) []byte {
	decoded, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return bytes.TrimSuffix(text, []byte{':'})
	}
	user, password, _ := bytes.Cut(decoded, []byte{':'})
	if len(password) == 0 {
		return user
	}
	return password
}

// credentialInURL is a key in the path or in the parameter token. User tokens are not taken from there:
// they can do more than write points.
func credentialInURL(ctx *fasthttp.RequestCtx) []byte {
	text, _ := ctx.UserValue(PathCredential).(string)
	if text == "" {
		text = string(ctx.QueryArgs().Peek("token"))
	}
	if key := []byte(text); bytes.HasPrefix(key, deviceCredentialPrefix) || bytes.HasPrefix(key, apiKeyPrefix) {
		return key
	}
	return nil
}

// claimsToBeAPIKey reports whether a credential is meant as an API key, valid or not.
func claimsToBeAPIKey(credential []byte) bool {
	return bytes.HasPrefix(credential, apiKeyPrefix)
}
