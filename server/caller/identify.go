package caller

import (
	"context"
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/keys/people"
	"lastseen/schema"
	"lastseen/server/limit"
)

// ErrFailures says that too many bad credentials have come from the caller's address.
var ErrFailures = errors.New("too many bad credentials have come from the address")

// Identifier finds out who is calling. It is safe for concurrent use.
type Identifier struct {
	keys     *apikey.Authenticator
	browsers *Browsers
	rates    *limit.Rates
	proxies  Proxies
}

// NewIdentifier returns an Identifier; proxies may be empty.
func NewIdentifier(authenticator *apikey.Authenticator, browsers *Browsers, rates *limit.Rates, proxies Proxies) *Identifier {
	return &Identifier{keys: authenticator, browsers: browsers, rates: rates, proxies: proxies}
}

// Request is a request whose caller is asked for.
type Request struct {
	HTTP   *fasthttp.RequestCtx
	Access *Access
	Began  time.Time
	// Again says that the request was asked about before, so that a bad credential is not counted twice.
	Again bool
}

// Identify returns who is calling, nil for nobody. Where no credential is needed only API keys are looked at,
// because they are refused there. With ErrFailures it returns how long the address must wait. The context is for
// look-ups, which have time limits of their own.
func (i *Identifier) Identify(ctx context.Context, r Request) (principal *keys.Principal, wait time.Duration, _ error) {
	text := Credential(r.HTTP, r.Access)
	if text == nil {
		if r.Access.Public {
			return nil, 0, nil
		}
		session, wait, err := i.Session(r)
		if session == nil || err != nil {
			return nil, wait, err
		}
		principal, err := i.browsers.identify(r.HTTP, session)
		return principal, 0, err
	}
	if r.Access.Public && !claimsToBeAPIKey(text) {
		return nil, 0, nil
	}
	principal, wait, err := i.CheckFailures(r, text)
	if principal != nil || err != nil {
		return principal, wait, err
	}
	principal, err = i.keys.Authenticate(ctx, text)
	if err != nil {
		i.NoteFailure(r, err)
		if r.Access.Probe && errors.Is(err, schema.Unavailable) {
			return nil, 0, nil // the service can tell how it is even when ClickHouse is gone
		}
		return nil, 0, err
	}
	return principal, 0, nil
}

// Session returns the browser's session, and nil when the request carries none or another credential. A bad one counts
// like any bad credential, and with ErrFailures it returns how long the address must wait.
func (i *Identifier) Session(r Request) (session *people.Session, wait time.Duration, _ error) {
	token := i.browsers.sessionToken(r.HTTP)
	if len(token) == 0 {
		return nil, 0, nil
	}
	if !i.browsers.signIn.Knows(token) {
		if wait = i.failureWait(r); wait > 0 {
			return nil, wait, ErrFailures
		}
	}
	session, err := i.browsers.signIn.Session(token)
	if err != nil {
		i.NoteFailure(r, err)
		return nil, 0, err
	}
	return session, 0, nil
}

// failureWait returns how long the caller's address must wait before it may come with another bad credential.
func (i *Identifier) failureWait(r Request) time.Duration {
	if !i.rates.LimitFailures() {
		return 0
	}
	return i.rates.FailureWait(i.proxies.Client(r.HTTP), r.Began)
}

// CheckFailures refuses with ErrFailures a caller from whose address too many bad credentials have come, and says how
// long it must wait, unless the credential is one that is known to be good: others behind the same address go on
// undisturbed. It returns the principal of such a one, and otherwise nil.
func (i *Identifier) CheckFailures(r Request, text []byte) (_ *keys.Principal, wait time.Duration, _ error) {
	if wait = i.failureWait(r); wait == 0 {
		return nil, 0, nil
	}
	if principal, known := i.keys.Known(text); known {
		i.keys.CountKnown(principal)
		return principal, 0, nil
	}
	return nil, wait, ErrFailures
}

// NoteFailure counts a credential that was not good against the address it came from. One that has
// expired or was revoked was good once and is no guess.
func (i *Identifier) NoteFailure(r Request, err error) {
	if r.Again || !i.rates.LimitFailures() || !errors.Is(err, schema.InvalidCredential) && !errors.Is(err, schema.NoCredential) {
		return
	}
	i.rates.TakeFailure(i.proxies.Client(r.HTTP), r.Began)
}
