package people_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

func TestMain(m *testing.M) { schematest.Main(m) }

var anna = people.Person{UserID: "user_anna", Memberships: []people.Membership{
	{OrgID: "org_a", Role: keys.RoleOwner}, {OrgID: "org_b", Role: keys.RoleDriver},
}}

// newSignIn opens a sign-in over a database of its own, and again whenever reopen is called.
func newSignIn(t *testing.T) (issuer *people.Issuer, signIn *people.SignIn, now *schematest.Clock, reopen func() *people.SignIn) {
	t.Helper()
	issuer, now, _, reopen = newSignInOver(t, schematest.Open(t))
	return issuer, reopen(), now, reopen
}

// newSignInOver is newSignIn over a database, with the directory where earlier versions kept what is spent.
func newSignInOver(t *testing.T, db *schema.DB) (issuer *people.Issuer, now *schematest.Clock, dir string, open func() *people.SignIn) {
	t.Helper()
	dir, now = t.TempDir(), schematest.NewClock(time.Now())
	issuer, err := people.OpenIssuer(dir, now.Now)
	if err != nil {
		t.Fatal(err)
	}
	return issuer, now, dir, func() *people.SignIn {
		t.Helper()
		signIn, err := people.OpenSignIn(t.Context(), people.SignInConfig{
			Issuer: issuer, Store: db, DataDir: dir, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		return signIn
	}
}

func link(t *testing.T, issuer *people.Issuer, ttl time.Duration) string {
	t.Helper()
	token, err := issuer.SignLink(anna, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// begin signs a person in.
func begin(t *testing.T, signIn *people.SignIn, person people.Person) (token string, session *people.Session) {
	t.Helper()
	token, session, err := signIn.Begin(person)
	if err != nil {
		t.Fatal(err)
	}
	return token, session
}

func TestSignInLinks(t *testing.T) {
	t.Parallel()

	t.Run("sign in once", func(t *testing.T) {
		t.Parallel()
		issuer, signIn, _, reopen := newSignIn(t)
		token := link(t, issuer, time.Minute)
		cookie, session, err := signIn.Redeem(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(anna, session.Person); diff != "" {
			t.Error(diff)
		}
		if again, err := signIn.Session([]byte(cookie)); err != nil || !cmp.Equal(again, session, cmpopts.IgnoreUnexported(people.Session{})) {
			t.Errorf("the session's token gives %+v, %v, want %+v", again, err, session)
		}
		if _, _, err := signIn.Redeem(t.Context(), token); !errors.Is(err, people.ErrLinkUsed) {
			t.Errorf("again: got %v, want ErrLinkUsed", err)
		}
		signIn = reopen()
		if _, _, err := signIn.Redeem(t.Context(), token); !errors.Is(err, people.ErrLinkUsed) {
			t.Errorf("again after a restart: got %v, want ErrLinkUsed", err)
		}
	})
	t.Run("sign in one of many who try at once", func(t *testing.T) {
		t.Parallel()
		issuer, signIn, _, _ := newSignIn(t)
		token := link(t, issuer, time.Minute)
		var signedIn atomic.Int64
		var trying sync.WaitGroup
		for range 20 {
			trying.Go(func() {
				switch _, _, err := signIn.Redeem(t.Context(), token); {
				case err == nil:
					signedIn.Add(1)
				case !errors.Is(err, people.ErrLinkUsed):
					t.Error(err)
				}
			})
		}
		trying.Wait()
		if got := signedIn.Load(); got != 1 {
			t.Errorf("the link signed in %d times", got)
		}
	})
	t.Run("expire", func(t *testing.T) {
		t.Parallel()
		issuer, signIn, now, _ := newSignIn(t)
		token := link(t, issuer, time.Minute)
		now.Advance(61 * time.Second)
		if _, _, err := signIn.Redeem(t.Context(), token); !errors.Is(err, schema.ExpiredCredential) {
			t.Errorf("got %v, want ErrExpired", err)
		}
	})
	t.Run("stay unused when their use cannot be written down", func(t *testing.T) {
		t.Parallel()
		db := schematest.Open(t)
		issuer, _, _, open := newSignInOver(t, db)
		signIn, token := open(), link(t, issuer, time.Minute)
		mend := schematest.BreakTable(t, db, "spent_tokens")
		if _, _, err := signIn.Redeem(t.Context(), token); !errors.Is(err, schema.Unavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
		mend()
		if _, _, err := open().Redeem(t.Context(), token); err != nil {
			t.Errorf("later: %v", err)
		}
	})
	t.Run("stay used when a clock was ahead once", func(t *testing.T) {
		t.Parallel()
		issuer, signIn, now, reopen := newSignIn(t)
		token := link(t, issuer, time.Minute)
		cookie, session, err := signIn.Redeem(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if err := signIn.End(t.Context(), session); err != nil {
			t.Fatal(err)
		}
		now.Advance(9 * time.Hour)
		reopen()
		now.Advance(-9 * time.Hour)
		signIn = reopen()
		if _, _, err := signIn.Redeem(t.Context(), token); !errors.Is(err, people.ErrLinkUsed) {
			t.Errorf("the link: %v, want ErrLinkUsed", err)
		}
		if _, err := signIn.Session([]byte(cookie)); !errors.Is(err, schema.RevokedCredential) {
			t.Errorf("the session: %v, want ErrRevoked", err)
		}
	})
	t.Run("stay used when a clock was ahead while many were used", func(t *testing.T) {
		t.Parallel()
		issuer, signIn, now, _ := newSignIn(t)
		signIn.LimitSpent(1)
		token := link(t, issuer, time.Minute)
		if _, _, err := signIn.Redeem(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		now.Advance(9 * time.Hour)
		if _, _, err := signIn.Redeem(t.Context(), link(t, issuer, time.Minute)); !errors.Is(err, schema.Unavailable) {
			t.Errorf("another link, past what is remembered: %v, want schema.Unavailable", err)
		}
		now.Advance(-9 * time.Hour)
		if _, _, err := signIn.Redeem(t.Context(), token); !errors.Is(err, people.ErrLinkUsed) {
			t.Errorf("the link: %v, want ErrLinkUsed", err)
		}
		now.Advance(48 * time.Hour)
		if _, _, err := signIn.Redeem(t.Context(), link(t, issuer, time.Minute)); err != nil {
			t.Errorf("another link two days later: %v", err)
		}
	})
	t.Run("are made for people and times that make sense", func(t *testing.T) {
		t.Parallel()
		issuer, _, _, _ := newSignIn(t)
		many := people.Person{UserID: "u"}
		for i := range 101 {
			many.Memberships = append(many.Memberships, people.Membership{OrgID: fmt.Sprint("org_", i), Role: keys.RoleOwner})
		}
		for name, c := range map[string]struct {
			person people.Person
			ttl    time.Duration
		}{
			"nobody":                 {people.Person{Memberships: anna.Memberships}, time.Minute},
			"no organisation":        {people.Person{UserID: "u"}, time.Minute},
			"too many organisations": {many, time.Minute},
			"an organisation twice":  {people.Person{UserID: "u", Memberships: append(anna.Memberships, anna.Memberships[0])}, time.Minute},
			"no role":                {people.Person{UserID: "u", Memberships: []people.Membership{{OrgID: "org_a"}}}, time.Minute},
			"no time":                {anna, 0},
			"a week":                 {anna, 7 * 24 * time.Hour},
		} {
			if token, err := issuer.SignLink(c.person, c.ttl); !errors.Is(err, schema.Invalid) {
				t.Errorf("%s: got %q, %v, want schema.Invalid", name, token, err)
			}
		}
	})
}

// TestTokensAreOfOneKind: every kind of token of the issuer is refused wherever another is wanted.
func TestTokensAreOfOneKind(t *testing.T) {
	t.Parallel()
	issuer, signIn, _, _ := newSignIn(t)
	session, _, err := signIn.Begin(anna)
	if err != nil {
		t.Fatal(err)
	}
	flow, begun, err := signIn.BeginFlow("")
	if err != nil {
		t.Fatal(err)
	}
	user, err := issuer.Sign(people.User{ID: "user_anna", OrgID: "org_a", Role: keys.RoleOwner}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	uses := map[string]func(token string) error{
		"link":    func(token string) error { _, _, err := signIn.Redeem(t.Context(), token); return err },
		"session": func(token string) error { _, err := signIn.Session([]byte(token)); return err },
		"flow":    func(token string) error { _, err := signIn.OpenFlow([]byte(token), begun.State); return err },
		"user":    func(token string) error { _, err := issuer.Verify(t.Context(), []byte(token)); return err },
	}
	for kind, token := range map[string]string{"link": link(t, issuer, time.Hour), "session": session, "flow": flow, "user": user, "nothing": ""} {
		for use, check := range uses {
			switch err := check(token); {
			case kind == use && err != nil:
				t.Errorf("a %s token is refused as one: %v", kind, err)
			case kind != use && !errors.Is(err, schema.InvalidCredential):
				t.Errorf("a %s token used as a %s token: got %v, want ErrInvalid", kind, use, err)
			}
		}
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()

	t.Run("end for good", func(t *testing.T) {
		t.Parallel()
		_, signIn, _, reopen := newSignIn(t)
		token, session, err := signIn.Begin(anna)
		if err != nil {
			t.Fatal(err)
		}
		other, _, err := signIn.Begin(anna)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := signIn.End(t.Context(), session); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if _, err := signIn.Session([]byte(token)); !errors.Is(err, schema.RevokedCredential) {
				t.Errorf("the session that was ended: got %v, want ErrRevoked", err)
			}
			if _, err := signIn.Session([]byte(other)); err != nil {
				t.Errorf("another session of the same person: %v", err)
			}
			signIn = reopen()
		}
	})
	t.Run("that one person ends without number keep nobody from signing out", func(t *testing.T) {
		t.Parallel()
		_, signIn, now, reopen := newSignIn(t)
		ben := people.Person{UserID: "user_ben", Memberships: anna.Memberships}
		var ended []string
		for i := range 130 {
			if i == 115 {
				signIn.LimitSpent(104) // what is remembered by then, and a few more
			}
			token, session := begin(t, signIn, anna)
			now.Advance(time.Second)
			if err := signIn.End(t.Context(), session); err != nil {
				t.Fatalf("sign-out %d: %v", i, err)
			}
			ended = append(ended, token)
		}
		if got := len(signIn.Spent()); got > 101 {
			t.Errorf("%d tokens are remembered of one person, want 101 at most", got)
		}
		bens, session := begin(t, signIn, ben)
		if err := signIn.End(t.Context(), session); err != nil {
			t.Errorf("another person's sign-out: %v", err)
		}
		annas, _ := begin(t, signIn, anna)
		for range 2 {
			for i, token := range append(ended, bens) {
				if _, err := signIn.Session([]byte(token)); !errors.Is(err, schema.RevokedCredential) {
					t.Errorf("session %d that was ended: %v, want ErrRevoked", i, err)
				}
			}
			if _, err := signIn.Session([]byte(annas)); err != nil {
				t.Errorf("a later session: %v", err)
			}
			signIn = reopen()
		}
	})
	t.Run("expire", func(t *testing.T) {
		t.Parallel()
		_, signIn, now, _ := newSignIn(t)
		token, session, err := signIn.Begin(anna)
		if err != nil {
			t.Fatal(err)
		}
		now.Advance(session.ExpiresAt.Sub(now.Now()))
		if _, err := signIn.Session([]byte(token)); !errors.Is(err, schema.ExpiredCredential) {
			t.Errorf("got %v, want ErrExpired", err)
		}
	})
	t.Run("of another key are refused", func(t *testing.T) {
		t.Parallel()
		_, signIn, _, _ := newSignIn(t)
		_, elsewhere, _, _ := newSignIn(t)
		token, _, err := elsewhere.Begin(anna)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := signIn.Session([]byte(token)); !errors.Is(err, schema.InvalidCredential) {
			t.Errorf("got %v, want ErrInvalid", err)
		}
	})
	t.Run("act in the organisations of their person only", func(t *testing.T) {
		t.Parallel()
		_, signIn, _, _ := newSignIn(t)
		_, session, err := signIn.Begin(anna)
		if err != nil {
			t.Fatal(err)
		}
		for org, want := range map[string]*keys.Principal{
			"":      {Kind: keys.CallerUser, OrgID: "org_a", UserID: "user_anna", Role: keys.RoleOwner, ExpiresAt: session.ExpiresAt},
			"org_a": {Kind: keys.CallerUser, OrgID: "org_a", UserID: "user_anna", Role: keys.RoleOwner, ExpiresAt: session.ExpiresAt},
			"org_b": {Kind: keys.CallerUser, OrgID: "org_b", UserID: "user_anna", Role: keys.RoleDriver, ExpiresAt: session.ExpiresAt},
			"org_c": nil,
		} {
			if got, ok := session.Principal(org); ok != (want != nil) || !cmp.Equal(got, want) {
				t.Errorf("in %q: got %+v, %v, want %+v", org, got, ok, want)
			}
		}
	})
	t.Run("have a token against cross-site requests of their own", func(t *testing.T) {
		t.Parallel()
		_, signIn, _, _ := newSignIn(t)
		_, one, err := signIn.Begin(anna)
		if err != nil {
			t.Fatal(err)
		}
		_, two, err := signIn.Begin(anna)
		if err != nil {
			t.Fatal(err)
		}
		if !one.CheckCSRF([]byte(one.CSRFToken)) || one.CheckCSRF([]byte(two.CSRFToken)) || one.CheckCSRF(nil) || (&people.Session{}).CheckCSRF(nil) {
			t.Error("a session takes another token than its own, or not its own")
		}
	})
	t.Run("fit into a cookie, however many organisations there are", func(t *testing.T) {
		t.Parallel()
		_, signIn, _, _ := newSignIn(t)
		person := people.Person{UserID: strings.Repeat("u", 255)}
		for i := range 100 {
			person.Memberships = append(person.Memberships, people.Membership{OrgID: fmt.Sprintf("org_%0251d", i), Role: keys.RoleAdministrator})
		}
		token, session, err := signIn.Begin(person)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(session.Memberships); len(token) > 3800 || n == 0 || !cmp.Equal(session.Memberships, person.Memberships[:n]) {
			t.Errorf("the token has %d bytes and %d organisations", len(token), n)
		}
	})
}

// TestTheFileOfEarlierVersions: what it says stays spent, and where it was damaged nobody knows what it said.
func TestTheFileOfEarlierVersions(t *testing.T) {
	t.Parallel()
	id := func(token string) string {
		t.Helper()
		claims := &jwt.RegisteredClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
			t.Fatal(err)
		}
		return claims.ID
	}
	for name, test := range map[string]struct {
		content func(used, other string) string
		other   error // what a link gets that was made before the file was written and is not in it
	}{
		"whole":                    {func(used, _ string) string { return used + " 4000000000\n" }, nil},
		"half a line at its end":   {func(used, other string) string { return used + " 4000000000\n" + other[:20] }, nil},
		"zeros where lines were":   {func(used, _ string) string { return used + " 4000000000\n" + strings.Repeat("\x00", 100) }, people.ErrLinkUsed},
		"nothing but a part of it": {func(used, _ string) string { return strings.Repeat("A", 60) + used + " 4000000000" }, people.ErrLinkUsed},
		"a line glued to half a one": {func(used, other string) string {
			return used + " 4000000000\n" + strings.Repeat("A", 20) + other + " 4000000000\n"
		}, people.ErrLinkUsed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer, now, dir, open := newSignInOver(t, schematest.Open(t))
			used, other := link(t, issuer, time.Hour), link(t, issuer, time.Hour)
			file := filepath.Join(dir, "sign-in.spent")
			if err := os.WriteFile(file, []byte(test.content(id(used), id(other))), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // and after a restart
				signIn := open()
				if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the file is still there: %v", err)
				}
				if _, _, err := signIn.Redeem(t.Context(), used); !errors.Is(err, people.ErrLinkUsed) {
					t.Errorf("the link in the file: %v, want ErrLinkUsed", err)
				}
				if test.other == nil {
					continue
				}
				if _, _, err := signIn.Redeem(t.Context(), other); !errors.Is(err, test.other) {
					t.Errorf("a link from before: %v, want %v", err, test.other)
				}
			}
			signIn := open()
			if test.other == nil {
				if _, _, err := signIn.Redeem(t.Context(), other); err != nil {
					t.Errorf("a link that is not in the file: %v", err)
				}
			}
			now.Advance(3 * time.Second)
			if _, _, err := signIn.Redeem(t.Context(), link(t, issuer, time.Hour)); err != nil {
				t.Errorf("a link made later: %v", err)
			}
		})
	}
}

func TestSignInFlows(t *testing.T) {
	t.Parallel()
	_, signIn, now, _ := newSignIn(t)
	token, flow, err := signIn.BeginFlow("/console/#/org_a/settings")
	if err != nil {
		t.Fatal(err)
	}
	if len(flow.Verifier) < 43 || flow.State == flow.Nonce {
		t.Errorf("the flow is %+v", flow)
	}
	if got, err := signIn.OpenFlow([]byte(token), flow.State); err != nil || got != flow {
		t.Errorf("got %+v, %v, want %+v", got, err, flow)
	}
	for _, state := range []string{"", "another", flow.State + "x"} {
		if _, err := signIn.OpenFlow([]byte(token), state); !errors.Is(err, schema.InvalidCredential) {
			t.Errorf("with the state %q: got %v, want ErrInvalid", state, err)
		}
	}
	now.Advance(16 * time.Minute)
	if _, err := signIn.OpenFlow([]byte(token), flow.State); !errors.Is(err, schema.ExpiredCredential) {
		t.Errorf("too late: got %v, want ErrExpired", err)
	}
}

func TestSignInReturnsToTheConsoleOnly(t *testing.T) {
	t.Parallel()
	_, signIn, _, _ := newSignIn(t)
	for address, want := range map[string]string{
		"/console/":                   "/console/",
		"/console/#/org_a/settings":   "/console/#/org_a/settings",
		"":                            "/console/",
		"/":                           "/console/",
		"//evil.example/console/":     "/console/",
		"https://evil.example":        "/console/",
		"/console/../tracking":        "/console/",
		"/console/#//evil.example":    "/console/#//evil.example", // a fragment leads nowhere else
		"/console/\r\nSet-Cookie: a=": "/console/",
		"/console/#/org_a\r\nX: y":    "/console/",
		"/console\\@evil.example":     "/console/",
		"/console/#/\\":               "/console/",
		"/console/#/" + strings.Repeat("x", 2000): "/console/",
	} {
		if _, flow, err := signIn.BeginFlow(address); err != nil || flow.ReturnTo != want {
			t.Errorf("%q leads to %q, %v, want %q", address, flow.ReturnTo, err, want)
		}
	}
}
