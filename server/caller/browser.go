package caller

import (
	"bytes"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/keys"
	"lastseen/keys/people"
)

const (
	// HeaderCSRF carries a browser session's token against cross-site requests.
	HeaderCSRF = "X-CSRF-Token"
	// HeaderOrganisation says in which of the person's organisations a request is made; without it
	// the first is meant.
	HeaderOrganisation = "Lastseen-Organisation"

	// SessionCookie carries a browser's session.
	SessionCookie = "lastseen_session"
	// FlowCookie carries a sign-in that has begun.
	FlowCookie = "lastseen_flow"
)

// Why a browser's request is refused.
var (
	// ErrCrossSite says that another site may have made the request.
	ErrCrossSite = errors.New("the request does not come from a page of this service")
	// ErrNotMember says that the person has no role in the organisation that the request names.
	ErrNotMember = errors.New("the person has no role in that organisation")
)

// Browsers are the callers who carry who they are in a cookie, which they also send when another site makes them. So what
// changes something must come from a page of ours, and must bring the session's token in a header
// that no other site can set. Everything that knows about cookies is in this file.
type Browsers struct {
	signIn *people.SignIn
	public *url.URL // under which browsers reach the service; nil when nobody said
	secure bool     // cookies are sent over TLS only
}

// NewBrowsers returns the browsers' callers. publicURL is where browsers reach the service, empty when nobody said. With https
// there, or when the service speaks TLS itself, cookies are sent over TLS only.
func NewBrowsers(signIn *people.SignIn, publicURL string, ownTLS bool) *Browsers {
	b := &Browsers{signIn: signIn, secure: ownTLS}
	if parsed, err := url.Parse(publicURL); err == nil && parsed.Host != "" {
		b.public, b.secure = parsed, ownTLS || parsed.Scheme == "https"
	}
	return b
}

// identify finds out who is calling by the session of the request.
func (b *Browsers) identify(ctx *fasthttp.RequestCtx, session *people.Session) (*keys.Principal, error) {
	if !ctx.IsGet() && !ctx.IsHead() {
		if err := b.CheckCrossSite(ctx, session); err != nil {
			return nil, err
		}
	}
	principal, ok := session.Principal(string(ctx.Request.Header.Peek(HeaderOrganisation)))
	if !ok {
		return nil, ErrNotMember
	}
	return principal, nil
}

// sessionToken returns the token of the browser's session, and nil when the request carries none or another credential.
func (b *Browsers) sessionToken(ctx *fasthttp.RequestCtx) []byte {
	if len(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)) > 0 {
		return nil
	}
	return b.Cookie(ctx, SessionCookie)
}

// CheckCrossSite refuses with ErrCrossSite a request that a page of another site may have made.
func (b *Browsers) CheckCrossSite(ctx *fasthttp.RequestCtx, session *people.Session) error {
	if !b.FromOurPage(ctx) || !session.CheckCSRF(ctx.Request.Header.Peek(HeaderCSRF)) {
		return ErrCrossSite
	}
	return nil
}

// FromOurPage reports whether the browser says that a page of ours has made the request. A client
// that says nothing is no browser, or an old one: against those the session's token must do.
func (b *Browsers) FromOurPage(ctx *fasthttp.RequestCtx) bool {
	request := &ctx.Request.Header
	if site := request.Peek("Sec-Fetch-Site"); len(site) > 0 {
		return string(site) == "same-origin"
	}
	origin := request.Peek(fasthttp.HeaderOrigin)
	if len(origin) == 0 {
		return true
	}
	_, host, found := bytes.Cut(origin, []byte("://"))
	return found && (bytes.EqualFold(host, request.Host()) || b.public != nil && strings.EqualFold(string(host), b.public.Host))
}

// CookieName is a cookie's name. With TLS it begins with __Host-, which browsers accept only from
// this very host, over TLS.
func (b *Browsers) CookieName(name string) string {
	if b.Secure() {
		return "__Host-" + name
	}
	return name
}

// Secure reports whether browsers reach the service over TLS.
func (b *Browsers) Secure() bool { return b.secure }

// Cookie returns the value of a cookie, which lives as long as the request.
func (b *Browsers) Cookie(ctx *fasthttp.RequestCtx, name string) []byte {
	return ctx.Request.Header.Cookie(b.CookieName(name))
}

// SetCookie has the browser keep a token until a time, out of reach of scripts.
func (b *Browsers) SetCookie(ctx *fasthttp.RequestCtx, name, token string, until time.Time, sameSite fasthttp.CookieSameSite) {
	cookie := b.cookie(name)
	defer fasthttp.ReleaseCookie(cookie)
	cookie.SetValue(token)
	cookie.SetSameSite(sameSite)
	cookie.SetMaxAge(max(1, int(time.Until(until)/time.Second)))
	ctx.Response.Header.SetCookie(cookie)
}

// DropCookie has the browser forget a cookie.
func (b *Browsers) DropCookie(ctx *fasthttp.RequestCtx, name string) {
	cookie := b.cookie(name)
	defer fasthttp.ReleaseCookie(cookie)
	cookie.SetExpire(fasthttp.CookieExpireDelete)
	ctx.Response.Header.SetCookie(cookie)
}

// cookie returns a cookie of a name, which the caller must release.
func (b *Browsers) cookie(name string) *fasthttp.Cookie {
	cookie := fasthttp.AcquireCookie()
	cookie.SetKey(b.CookieName(name))
	cookie.SetPath("/")
	cookie.SetHTTPOnly(true)
	cookie.SetSecure(b.Secure())
	return cookie
}
