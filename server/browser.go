package server

import (
	"bytes"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/keys/people"
)

// Browsers carry who they are in a cookie, which they also send when another site makes them. So what
// changes something must come from a page of ours, and must bring the session's token in a header
// that no other site can set. Everything that knows about cookies is in this file.

const (
	// headerCSRF carries the session's token against cross-site requests.
	headerCSRF = "X-CSRF-Token"
	// headerOrganisation says in which of the person's organisations a request is made; without it
	// the first is meant.
	headerOrganisation = "Lastseen-Organisation"

	sessionCookie = "lastseen_session"
	flowCookie    = "lastseen_flow"
)

var (
	problemCrossSite = &problem{status: fasthttp.StatusForbidden, reason: reasonCrossSite,
		detail: "This request does not come from a page of this service; reload the page and try again."}
	problemNotMember = &problem{status: fasthttp.StatusForbidden,
		detail: "You have no role in that organisation; choose one of yours."}
)

// authenticateBrowser finds out who is calling by the session cookie. A request without one has no
// caller.
func (c *call) authenticateBrowser() error {
	if c.route.public {
		return nil
	}
	session, err := c.session()
	if session == nil || err != nil {
		return err
	}
	if c.changes() {
		if err := c.checkCrossSite(session); err != nil {
			return err
		}
	}
	principal, ok := session.Principal(string(c.http.Request.Header.Peek(headerOrganisation)))
	if !ok {
		return problemNotMember
	}
	c.principal = principal
	return nil
}

// session returns the browser's session, and nil when the request carries none or another credential.
func (c *call) session() (*people.Session, error) {
	if len(c.http.Request.Header.Peek(fasthttp.HeaderAuthorization)) > 0 {
		return nil, nil
	}
	cookie := c.http.Request.Header.Cookie(c.server.cookieName(sessionCookie))
	if len(cookie) == 0 {
		return nil, nil
	}
	return c.server.services.SignIn.Session(cookie)
}

// changes reports whether a request may change something.
func (c *call) changes() bool {
	return !c.http.IsGet() && !c.http.IsHead()
}

// checkCrossSite refuses a request that a page of another site may have made.
func (c *call) checkCrossSite(session *people.Session) error {
	if !c.fromOurPage() || !session.CheckCSRF(c.http.Request.Header.Peek(headerCSRF)) {
		return problemCrossSite
	}
	return nil
}

// fromOurPage reports whether the browser says that a page of ours has made the request. A client
// that says nothing is no browser, or an old one: against those the session's token must do.
func (c *call) fromOurPage() bool {
	request := &c.http.Request.Header
	if site := request.Peek("Sec-Fetch-Site"); len(site) > 0 {
		return string(site) == "same-origin"
	}
	origin := request.Peek(fasthttp.HeaderOrigin)
	if len(origin) == 0 {
		return true
	}
	_, host, found := bytes.Cut(origin, []byte("://"))
	return found && (bytes.EqualFold(host, request.Host()) || c.server.public != nil && strings.EqualFold(string(host), c.server.public.Host))
}

// cookieName is a cookie's name. With TLS it begins with __Host-, which browsers accept only from
// this very host, over TLS.
func (s *Server) cookieName(name string) string {
	if s.secure() {
		return "__Host-" + name
	}
	return name
}

// secure reports whether browsers reach the service over TLS.
func (s *Server) secure() bool { return s.public != nil && s.public.Scheme == "https" }

// setCookie has the browser keep a token until a time, out of reach of scripts.
func (c *call) setCookie(name, token string, until time.Time, sameSite fasthttp.CookieSameSite) {
	cookie := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(cookie)
	cookie.SetKey(c.server.cookieName(name))
	cookie.SetValue(token)
	cookie.SetPath("/")
	cookie.SetHTTPOnly(true)
	cookie.SetSecure(c.server.secure())
	cookie.SetSameSite(sameSite)
	cookie.SetMaxAge(max(1, int(time.Until(until)/time.Second)))
	c.http.Response.Header.SetCookie(cookie)
}

// dropCookie has the browser forget a cookie.
func (c *call) dropCookie(name string) {
	cookie := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(cookie)
	cookie.SetKey(c.server.cookieName(name))
	cookie.SetPath("/")
	cookie.SetHTTPOnly(true)
	cookie.SetSecure(c.server.secure())
	cookie.SetExpire(fasthttp.CookieExpireDelete)
	c.http.Response.Header.SetCookie(cookie)
}

// parsePublicURL reads the address under which browsers reach the service; nil for none.
func parsePublicURL(address string) *url.URL {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" {
		return nil
	}
	return parsed
}
