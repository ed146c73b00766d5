package server

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/keys/people/oidc"
	"lastseen/schema"
	"lastseen/server/caller"
	"lastseen/server/console"
	"lastseen/server/input"
	"lastseen/server/problem"
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
			method: fasthttp.MethodPost, path: path, summary: summary, Access: caller.Access{Public: true},
			body: jsonBody, bodyLimit: maxJSONBody, timeout: 10 * time.Second, handle: handle,
		}
	}
	callback := public(pathCallback, "Where the identity provider sends browsers back to", noQueue, 15*time.Second, finishLogin)
	callback.codeInURL = true
	return []route{
		{
			method: fasthttp.MethodGet, path: pathSession, summary: "Who is calling, and in which organisations",
			Access: caller.Access{Role: keys.RoleDriver}, timeout: 5 * time.Second, handle: showSession,
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
	ExpiresAt     input.Time       `json:"expires_at_timestamp"`
	Provider      bool             `json:"provider"` // whether an identity provider signs people in
}

func viewOf(c *call, session *people.Session) sessionView {
	view := sessionView{
		UserID: session.UserID, OrgID: session.Memberships[0].OrgID, Role: session.Memberships[0].Role.String(),
		CSRFToken: session.CSRFToken, ExpiresAt: input.Time(session.ExpiresAt), Provider: c.server.services.Provider != nil,
	}
	for _, m := range session.Memberships {
		view.Organisations = append(view.Organisations, membershipView{m.OrgID, m.Role.String()})
	}
	return view
}

// showSession tells who is calling: with a browser what its session says, with a user token what that
// says.
func showSession(c *call) error {
	session, wait, err := c.server.identifier.Session(c.asked())
	switch {
	case err != nil:
		return c.limited(err, wait)
	case session == nil:
		p := c.principal
		session = &people.Session{ExpiresAt: p.ExpiresAt, Person: people.Person{
			UserID: p.UserID, Memberships: []people.Membership{{OrgID: p.OrgID, Role: p.Role}},
		}}
	}
	return c.json(fasthttp.StatusOK, viewOf(c, session))
}

// showOptions tells the console how its user can sign in.
func showOptions(c *call) error {
	return c.json(fasthttp.StatusOK, struct {
		Provider bool `json:"provider"`
	}{c.server.services.Provider != nil})
}

// redeemLink signs in with a link's token. It is a POST from a page, so that programs that look at
// links do not spend them.
func redeemLink(c *call) error {
	if !c.server.browsers.FromOurPage(c.http) {
		return problem.CrossSite
	}
	var body struct {
		Token *string `json:"token"`
	}
	if err := c.readJSON(&body); err != nil {
		return err
	}
	f := input.Fields{}
	token := f.Text("token", body.Token)
	if err := f.Problem(); err != nil {
		return err
	}
	if _, wait, err := c.server.identifier.CheckFailures(c.asked(), nil); err != nil {
		return c.limited(err, wait)
	}
	cookie, session, err := c.server.services.SignIn.Redeem(c.context(), token)
	c.server.identifier.NoteFailure(c.asked(), err)
	switch {
	case errors.Is(err, people.ErrLinkUsed):
		return problem.LinkUsed
	case errors.Is(err, schema.ExpiredCredential):
		return problem.LinkExpired
	case errors.Is(err, schema.InvalidCredential):
		return problem.LinkInvalid
	case err != nil:
		return err
	}
	c.server.browsers.SetCookie(c.http, caller.SessionCookie, cookie, session.ExpiresAt, fasthttp.CookieSameSiteStrictMode)
	return c.json(fasthttp.StatusOK, viewOf(c, session))
}

// signOut ends the session for good. A browser whose session is over already is signed out, too.
func signOut(c *call) error {
	session, wait, err := c.server.identifier.Session(c.asked())
	if errors.Is(err, caller.ErrFailures) {
		return c.limited(err, wait)
	}
	if session != nil && err == nil {
		if err := c.server.browsers.CheckCrossSite(c.http, session); err != nil {
			return err
		}
		if err := c.server.services.SignIn.End(c.context(), session); err != nil {
			return err
		}
	}
	c.server.browsers.DropCookie(c.http, caller.SessionCookie)
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
		return loginFailed(c, "unavailable", err)
	}
	// The provider sends the browser back from another site, with which strict cookies do not come.
	c.server.browsers.SetCookie(c.http, caller.FlowCookie, token, time.Now().Add(people.FlowLife), fasthttp.CookieSameSiteLaxMode)
	return c.redirect(address)
}

// finishLogin signs in whom the identity provider has sent back.
func finishLogin(c *call) error {
	if c.server.services.Provider == nil {
		return c.redirect(console.Path)
	}
	args := c.http.QueryArgs()
	cookie := c.server.browsers.Cookie(c.http, caller.FlowCookie)
	if _, wait, err := c.server.identifier.CheckFailures(c.asked(), nil); err != nil {
		return c.limited(err, wait)
	}
	flow, err := c.server.services.SignIn.OpenFlow(cookie, string(args.Peek("state")))
	if err != nil {
		if len(cookie) > 0 {
			c.server.identifier.NoteFailure(c.asked(), err)
		}
		return loginFailed(c, "expired", err)
	}
	c.server.browsers.DropCookie(c.http, caller.FlowCookie)
	if refusal := args.Peek("error"); len(refusal) > 0 {
		return loginFailed(c, "denied", errors.New("the identity provider answered "+short(refusal, 64)))
	}
	person, err := c.server.services.Provider.Exchange(c.context(), flow, oidc.Callback{
		Code: string(args.Peek("code")), Issuer: string(args.Peek("iss")),
	})
	switch {
	case errors.Is(err, people.ErrNoOrganisation):
		return loginFailed(c, "no-organisation", err)
	case errors.Is(err, schema.InvalidCredential), errors.Is(err, schema.ExpiredCredential):
		return loginFailed(c, "refused", err)
	case err != nil:
		return loginFailed(c, "unavailable", err)
	}
	token, session, err := c.server.services.SignIn.Begin(person)
	if err != nil {
		return err
	}
	c.server.browsers.SetCookie(c.http, caller.SessionCookie, token, session.ExpiresAt, fasthttp.CookieSameSiteStrictMode)
	return c.redirect(flow.ReturnTo)
}

// loginFailed sends a browser back to the console, which says what the reason means.
func loginFailed(c *call, reason string, cause error) error {
	c.server.config.Logger.Warn("somebody could not sign in", "request_id", string(c.id.bytes()), "reason", reason, "cause", cause)
	return c.redirect(console.Path + "#sign-in-failed:" + reason)
}
