package server

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/keys/people/oidc"
	"lastseen/schema"
	"lastseen/server/console"
)

const (
	pathSession  = "/auth/session/v1"
	pathOptions  = "/auth/options/v1"
	pathSignOut  = "/auth/sign_out/v1"
	pathLink     = "/auth/link/v1"
	pathLogin    = "/auth/login"
	pathCallback = "/auth/callback"
)

// signInRoutes are the routes by which browsers sign in and out.
func signInRoutes() []route {
	post := func(path, summary string, handle func(*call) error) route {
		return route{
			method: fasthttp.MethodPost, path: path, summary: summary, public: true,
			body: jsonBody, bodyLimit: maxJSONBody, timeout: 10 * time.Second, handle: handle,
		}
	}
	callback := public(pathCallback, "Where the identity provider sends browsers back to", noQueue, 15*time.Second, finishLogin)
	callback.codeInURL = true
	return []route{
		{
			method: fasthttp.MethodGet, path: pathSession, summary: "Who is calling, and in which organisations",
			role: keys.RoleDriver, timeout: 5 * time.Second, handle: showSession,
		},
		public(pathOptions, "How to sign in with a browser", noQueue, 5*time.Second, showOptions),
		bodiless(post(pathSignOut, "Sign this browser out", signOut)),
		post(pathLink, "Sign in with the token of a sign-in link", redeemLink),
		public(pathLogin, "Leads to the identity provider", noQueue, 15*time.Second, beginLogin),
		callback,
	}
}

// membershipView and sessionView are a session on the wire.
type membershipView struct {
	OrgID string `json:"org_id"`
	Role  string `json:"role"`
}

type sessionView struct {
	UserID        string           `json:"user_id"`
	OrgID         string           `json:"org_id"` // the one to begin with
	Role          string           `json:"role"`
	Organisations []membershipView `json:"organisations"`
	CSRFToken     string           `json:"csrf_token,omitempty"` // of a browser's session
	ExpiresAt     wireTime         `json:"expires_at_timestamp"`
	Provider      bool             `json:"provider"` // whether an identity provider signs people in
}

func (c *call) viewOf(session *people.Session) sessionView {
	view := sessionView{
		UserID: session.UserID, OrgID: session.Memberships[0].OrgID, Role: session.Memberships[0].Role.String(),
		CSRFToken: session.CSRFToken, ExpiresAt: wireTime(session.ExpiresAt), Provider: c.server.services.Provider != nil,
	}
	for _, m := range session.Memberships {
		view.Organisations = append(view.Organisations, membershipView{m.OrgID, m.Role.String()})
	}
	return view
}

// showSession tells who is calling: with a browser what its session says, with a user token what that
// says.
func showSession(c *call) error {
	session, err := c.session()
	switch {
	case err != nil:
		return err
	case session == nil:
		p := c.principal
		session = &people.Session{ExpiresAt: p.ExpiresAt, Person: people.Person{
			UserID: p.UserID, Memberships: []people.Membership{{OrgID: p.OrgID, Role: p.Role}},
		}}
	}
	return c.json(fasthttp.StatusOK, c.viewOf(session))
}

// showOptions tells the console how its user can sign in.
func showOptions(c *call) error {
	return c.json(fasthttp.StatusOK, struct {
		Provider bool `json:"provider"`
	}{c.server.services.Provider != nil})
}

var (
	problemLinkInvalid = &problem{status: fasthttp.StatusUnauthorized, authenticate: challengeInvalid,
		detail: "This is not a sign-in link of this service; make a new one on the machine that it runs on."}
	problemLinkExpired = &problem{status: fasthttp.StatusUnauthorized, authenticate: challengeInvalid,
		detail: "This sign-in link has expired; make a new one."}
	problemLinkUsed = &problem{status: fasthttp.StatusUnauthorized, authenticate: challengeInvalid,
		detail: "This sign-in link has been used already; make a new one."}
)

// redeemLink signs in with a link's token. It is a POST from a page, so that programs that look at
// links do not spend them.
func redeemLink(c *call) error {
	if !c.fromOurPage() {
		return problemCrossSite
	}
	var body struct {
		Token *string `json:"token"`
	}
	if err := c.readJSON(&body); err != nil {
		return err
	}
	f := fields{}
	token := f.text("token", body.Token)
	if err := f.problem(); err != nil {
		return err
	}
	if _, err := c.checkFailures(nil); err != nil {
		return err
	}
	cookie, session, err := c.server.services.SignIn.Redeem(token)
	c.noteFailure(err)
	switch {
	case errors.Is(err, people.ErrLinkUsed):
		return problemLinkUsed
	case errors.Is(err, schema.ExpiredCredential):
		return problemLinkExpired
	case errors.Is(err, schema.InvalidCredential):
		return problemLinkInvalid
	case err != nil:
		return err
	}
	c.setCookie(sessionCookie, cookie, session.ExpiresAt, fasthttp.CookieSameSiteStrictMode)
	return c.json(fasthttp.StatusOK, c.viewOf(session))
}

// signOut ends the session for good. A browser whose session is over already is signed out, too.
func signOut(c *call) error {
	session, err := c.session()
	if session != nil && err == nil {
		if err := c.checkCrossSite(session); err != nil {
			return err
		}
		if err := c.server.services.SignIn.End(session); err != nil {
			return err
		}
	}
	c.dropCookie(sessionCookie)
	c.reply(fasthttp.StatusOK, []byte("true"))
	return nil
}

// beginLogin sends a browser to the identity provider.
func beginLogin(c *call) error {
	if c.server.services.Provider == nil {
		return c.redirect(console.Path)
	}
	token, flow, err := c.server.services.SignIn.BeginFlow(string(c.http.QueryArgs().Peek("return_to")))
	if err != nil {
		return err
	}
	address, err := c.server.services.Provider.AuthCodeURL(c.context(), flow)
	if err != nil {
		return c.loginFailed("unavailable", err)
	}
	// The provider sends the browser back from another site, with which strict cookies do not come.
	c.setCookie(flowCookie, token, time.Now().Add(flowLife), fasthttp.CookieSameSiteLaxMode)
	return c.redirect(address)
}

const flowLife = 15 * time.Minute

// finishLogin signs in whom the identity provider has sent back.
func finishLogin(c *call) error {
	if c.server.services.Provider == nil {
		return c.redirect(console.Path)
	}
	args := c.http.QueryArgs()
	cookie := c.http.Request.Header.Cookie(c.server.cookieName(flowCookie))
	flow, err := c.server.services.SignIn.OpenFlow(cookie, string(args.Peek("state")))
	if err != nil {
		return c.loginFailed("expired", err)
	}
	c.dropCookie(flowCookie)
	if refusal := args.Peek("error"); len(refusal) > 0 {
		return c.loginFailed("denied", errors.New("the identity provider answered "+short(refusal, 64)))
	}
	person, err := c.server.services.Provider.Exchange(c.context(), flow, oidc.Callback{
		Code: string(args.Peek("code")), Issuer: string(args.Peek("iss")),
	})
	switch {
	case errors.Is(err, people.ErrNoOrganisation):
		return c.loginFailed("no-organisation", err)
	case errors.Is(err, schema.InvalidCredential), errors.Is(err, schema.ExpiredCredential):
		return c.loginFailed("refused", err)
	case err != nil:
		return c.loginFailed("unavailable", err)
	}
	token, session, err := c.server.services.SignIn.Begin(person)
	if err != nil {
		return err
	}
	c.setCookie(sessionCookie, token, session.ExpiresAt, fasthttp.CookieSameSiteStrictMode)
	return c.redirect(flow.ReturnTo)
}

// loginFailed sends a browser back to the console, which says what the reason means.
func (c *call) loginFailed(reason string, cause error) error {
	c.server.config.Logger.Warn("somebody could not sign in", "request_id", string(c.id.bytes()), "reason", reason, "cause", cause)
	return c.redirect(console.Path + "#sign-in-failed:" + reason)
}
