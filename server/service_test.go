package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/ingest"
	"lastseen/ingest/registry"
	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/keys/people"
	"lastseen/query/changes"
	"lastseen/query/history"
	"lastseen/query/latest"
	"lastseen/query/sessions"
	"lastseen/schema"
	"lastseen/schema/schematest"
	"lastseen/server/caller"
)

// service is the server of a test: the real services on the real engine, behind a loopback port.
type service struct {
	testing.TB
	*Server
	address string // host:port; of a tunnel where the server speaks TLS
	secure  string // the server's own address then
	trusts  *tls.Config
	client  *http.Client
	issuer  *people.Issuer
	dataDir string // of the issuer
	db      *schema.DB
	gone    bool // the test has closed the database
	// undescribed is set where the routes are not those of the table.
	undescribed bool
	log         *logBuffer
	served      chan error // what Serve returned
}

// setup is what a test may change of its server before it starts.
type setup struct {
	config   Config
	services Services
	db       *schema.DB        // of the services
	handle   func(*call) error // answers every request when set
	tls      bool              // the server speaks TLS
}

// start runs a server whose setup adjust, if given, has changed. It ends with the test.
func start(tb testing.TB, adjust ...func(*setup)) *service {
	tb.Helper()
	s := &service{TB: tb, db: schematest.Open(tb), log: &logBuffer{}, served: make(chan error, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	with := setup{services: s.services(ctx), db: s.db, config: Config{
		Logger: slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})), AccessLog: LogAll,
	}}
	for _, change := range adjust {
		change(&with)
	}
	if with.tls || overTLS() {
		with.config.TLS, s.trusts = secureConfig(tb)
	}
	s.Server = New(with.config, with.services)
	s.Server.direct = newDirectPolls(s.Server) // although all is logged, which turns it off
	if s.undescribed = with.handle != nil; s.undescribed {
		only := &route{path: "/", method: "GET", Access: caller.Access{Public: true}, timeout: time.Minute, handle: with.handle}
		s.Server.http.Handler = func(ctx *fasthttp.RequestCtx) { s.serve(only, ctx) }
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s.address = listener.Addr().String()
	if s.trusts != nil {
		s.secure, s.address = s.address, tunnel(tb, s.address, s.trusts)
	}
	s.client = &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: 30 * time.Second}
	go func() { s.served <- s.Serve(listener) }()
	tb.Cleanup(func() {
		s.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Shutdown(ctx)
		if err := <-s.served; err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	return s
}

// services makes what the server serves, over the test's database.
func (s *service) services(ctx context.Context) Services {
	s.Helper()
	lastSeen := latest.New(s.db, time.Now)
	index := sessions.NewIndex(lastSeen)
	registry := registry.New(s.db, registry.Watchers{index, lastSeen}, registry.Quotas{}, time.Now)
	for _, load := range []func() error{
		func() error { return lastSeen.Load(ctx, nil) },
		func() error { return registry.Load(ctx) },
	} {
		if err := load(); err != nil {
			s.Fatal(err)
		}
	}
	writer := ingest.NewWriter(s.db, registry, lastSeen, lastSeen, ingest.WriterOptions{})
	s.Cleanup(writer.Close)
	s.dataDir = s.TempDir()
	issuer, err := people.OpenIssuer(s.dataDir, time.Now)
	if err != nil {
		s.Fatal(err)
	}
	s.issuer = issuer
	cursorKey := issuer.DeriveKey("history cursors")
	signIn, err := people.OpenSignIn(ctx, people.SignInConfig{Issuer: issuer, Store: s.db, DataDir: s.dataDir})
	if err != nil {
		s.Fatal(err)
	}
	channel := &apikey.LocalChannel{}
	authenticator, err := apikey.NewAuthenticator(apikey.AuthenticatorConfig{Store: s.db, Users: issuer, Channel: channel, Routes: KeyRoutes()})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := authenticator.Close(); err != nil && !s.gone {
			s.Errorf("close the authenticator: %v", err)
		}
	})
	return Services{
		Authenticator: authenticator,
		Keys:          apikey.NewService(apikey.ServiceConfig{DB: s.db, Channel: channel, Devices: registry}),
		Registry:      registry,
		Writer:        writer,
		LastSeen:      lastSeen,
		History:       history.New(s.db, lastSeen, history.Options{CursorKey: cursorKey, Watermark: writer}),
		Sessions:      sessions.NewReader(index, issuer.DeriveKey("session cursors"), time.Now),
		Changes:       changes.New(lastSeen, issuer.DeriveKey("changes cursors")),
		SignIn:        signIn,
		Ready: func(ctx context.Context) error {
			if s.db.Ping(ctx) != nil {
				return errors.New("ClickHouse does not answer")
			}
			return nil
		},
	}
}

// token returns a user token.
func (s *service) token(org string, role keys.Role) string {
	s.Helper()
	token, err := s.issuer.Sign(people.User{ID: "user_" + role.String(), OrgID: org, Role: role}, time.Hour)
	if err != nil {
		s.Fatal(err)
	}
	return token
}

// key returns an API key or a device credential, and its id.
func (s *service) key(org string, kind schema.KeyKind) (text string, id schema.ID) {
	s.Helper()
	actor := &keys.Principal{Kind: keys.CallerUser, OrgID: org, UserID: "user_maker", Role: keys.RoleOwner}
	record, text, err := s.Server.services.Keys.Create(context.Background(), actor, apikey.NewKey{Kind: kind, Name: "test", ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		s.Fatal(err)
	}
	return text, record.ID
}

// reply is an answer that has been read whole.
type reply struct {
	*http.Response
	body []byte
}

// problem returns the body of a refusal, after checking that it is one by RFC 9457 and the contract.
func (r reply) problem(tb testing.TB) (p struct {
	Type, Title, Detail, Message string
	Status                       int
	RequestID                    string `json:"request_id"`
	Errors                       []struct {
		Loc []string
		Msg string
	}
}) {
	tb.Helper()
	if err := json.Unmarshal(r.body, &p); err != nil {
		tb.Fatalf("%s: the refusal is not JSON: %v: %s", r.Status, err, r.body)
	}
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		tb.Errorf("%s: content type %q", r.Status, got)
	}
	if p.Status != r.StatusCode || p.Type != "about:blank" || p.Title != http.StatusText(r.StatusCode) && r.StatusCode != 414 && r.StatusCode != 422 {
		tb.Errorf("%s: status, type or title do not fit: %s", r.Status, r.body)
	}
	if p.Detail == "" || p.Detail != p.Message || p.RequestID == "" || p.RequestID != r.Header.Get("X-Request-Id") {
		tb.Errorf("%s: detail, message or request id do not fit: %s", r.Status, r.body)
	}
	if (r.StatusCode == 422) != (len(p.Errors) > 0) {
		tb.Errorf("%s: errors do not fit: %s", r.Status, r.body)
	}
	return p
}

// header is one more header of a request.
type header struct{ name, value string }

// do sends a request with a credential, empty for none, and reads the answer.
func (s *service) do(method, target, credential string, body io.Reader, headers ...header) reply {
	s.Helper()
	r, err := s.try(method, target, credential, body, headers...)
	if err != nil {
		s.Fatal(err)
	}
	return r
}

func (s *service) try(method, target, credential string, body io.Reader, headers ...header) (reply, error) {
	request, err := http.NewRequest(method, "http://"+s.address+target, body)
	if err != nil {
		return reply{}, err
	}
	if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		request.Header.Set(h.name, h.value)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err == nil {
		s.held(response.Request, reply{response, content}) // after redirects
	}
	return reply{response, content}, err
}

// get is a GET that must be answered with a status.
func (s *service) get(target, credential string, status int, headers ...header) reply {
	s.Helper()
	r := s.do("GET", target, credential, nil, headers...)
	if r.StatusCode != status {
		s.Fatalf("GET %s: %s, want %d: %.4000s", target, r.Status, status, r.body)
	}
	return r
}

// post is a POST of JSON that must be answered with a status.
func (s *service) post(target, credential, body string, status int, headers ...header) reply {
	s.Helper()
	r := s.do("POST", target, credential, strings.NewReader(body), headers...)
	if r.StatusCode != status {
		s.Fatalf("POST %s: %s, want %d: %.4000s", target, r.Status, status, r.body)
	}
	return r
}

// session makes a device with a session through the routes and returns the session's id.
func (s *service) session(org, mac string) string {
	s.Helper()
	token := s.token(org, keys.RoleOperator)
	device := s.text(s.post(pathRegister, token, fmt.Sprintf(`{"device_mac_address":%q,"schema_version":1}`, mac), 200))
	return s.text(s.post(pathCreateSession+"?device_id="+device, token, `{"schema_version":1}`, 200))
}

// ingest sends points, one JSON object a line, which must all be accepted.
func (s *service) ingest(org, points string) {
	s.Helper()
	r := s.post(pathIngest, s.token(org, keys.RoleDriver), points, 200, header{"Content-Type", "application/x-ndjson"})
	if !bytes.Contains(r.body, []byte(`"rejected":[]`)) {
		s.Fatalf("points were rejected: %s", r.body)
	}
}

// text reads a JSON string.
func (s *service) text(r reply) (text string) {
	s.Helper()
	if err := json.Unmarshal(r.body, &text); err != nil {
		s.Fatalf("want a JSON string: %v: %s", err, r.body)
	}
	return text
}

// logBuffer collects the log.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
