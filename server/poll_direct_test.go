package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/valyala/fasthttp"

	"lastseen/keys"
	"lastseen/schema"
	"lastseen/server/caller"
	"lastseen/server/transport"
)

// perRequest are the fields in which two answers to the same request differ.
var perRequest = regexp.MustCompile(`(X-Request-Id|Date): [^\r]+`)

// directly answers a request on the direct way if it is plain.
func (s *service) directly(c net.Conn, request string) (answered bool, err error) {
	var plain transport.Plain
	if !plain.Parse([]byte(request), directStart) {
		return false, nil
	}
	return s.direct.answer(accepted(s.Server, c), &plain)
}

// TestDirectPolls answers polls both ways and compares.
func TestDirectPolls(t *testing.T) {
	t.Parallel()
	s := start(t)
	all := polls(s)
	hit, tagged := all[0].request, ""
	for _, p := range all {
		if p.name == "304" {
			tagged = p.request
		}
	}
	variant := func(name, request string, status int) { all = append(all, poll{name, request, status}) }
	variant("names in lower case", strings.NewReplacer("Host", "host", "User-Agent", "user-agent", "Accept", "accept", "Authorization", "authorization").Replace(hit), 200)
	variant("kept alive", strings.Replace(hit, "\r\n\r\n", "\r\nConnection: keep-alive\r\n\r\n", 1), 200)
	variant("codings", strings.Replace(hit, "\r\n\r\n", "\r\nAccept-Encoding: gzip, zstd\r\nAccept-Language: en\r\n\r\n", 1), 200)
	variant("by a proxy", strings.Replace(hit, "\r\n\r\n", "\r\nX-Forwarded-For: 192.0.2.1\r\nx-real-ip: 192.0.2.1\r\nContent-Type: application/json\r\n\r\n", 1), 200)
	variant("a weak tag", strings.Replace(tagged, `If-None-Match: "`, `If-None-Match: W/"`, 1), 304)
	variant("several tags", strings.Replace(tagged, `If-None-Match: "`, `if-none-match: "x", "`, 1), 304)
	variant("any tag", strings.Replace(hit, "\r\n\r\n", "\r\nIf-None-Match: *\r\n\r\n", 1), 304)
	variant("another tag", strings.Replace(hit, "\r\n\r\n", "\r\nIf-None-Match: \"none\"\r\n\r\n", 1), 200)
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			general := &replay{request: []byte(p.request), left: 1}
			s.Server.http.ServeConn(general)
			direct := &replay{}
			answered, err := s.directly(direct, p.request)
			if err != nil {
				t.Fatal(err)
			}
			if want := p.status < 400; answered != want {
				t.Fatalf("answered directly: %t, want %t", answered, want)
			}
			if answered && string(perRequest.ReplaceAll(direct.answer, nil)) != string(perRequest.ReplaceAll(general.answer, nil)) {
				t.Errorf("directly\n%s\nwant\n%s", direct.answer, general.answer)
			}
			if !answered && len(direct.answer) > 0 {
				t.Errorf("wrote %q", direct.answer)
			}
		})
	}
	t.Run("what has to be seen by others", func(t *testing.T) {
		if New(Config{AccessLog: LogAll}, Services{}).direct != nil {
			t.Error("requests are answered directly that were to be logged")
		}
		s := start(t)
		request := polls(s)[0].request
		s.Drain()
		c := &replay{}
		if answered, err := s.directly(c, request); answered || err != nil {
			t.Errorf("a draining server answers directly: %v", err)
		}
	})
	t.Run("each is counted once, whichever way it goes", func(t *testing.T) {
		s := start(t)
		for _, p := range polls(s) {
			person := p.name == "hit by a person"
			if p.status > 304 && p.name != "404" {
				continue
			}
			shown, checked := s.Server.services.LastSeen.Stats(), s.Server.services.Authenticator.Stats()
			c := &replay{request: []byte(p.request), left: 20}
			s.Server.http.ServeConn(accepted(s.Server, c))
			after, then := s.Server.services.LastSeen.Stats(), s.Server.services.Authenticator.Stats()
			if got := after.Hits + after.Empty + after.Misses - shown.Hits - shown.Empty - shown.Misses; got != 20 {
				t.Errorf("%s: %d look-ups are counted, want 20", p.name, got)
			}
			// The caches may still be taking in what was asked before: a miss is a check too.
			keys := then.Hits + then.Misses - checked.Hits - checked.Misses
			tokens := then.TokenHits + then.TokenMisses - checked.TokenHits - checked.TokenMisses
			if person && tokens != 20 || !person && keys != 20 {
				t.Errorf("%s: %d checks of keys and %d of tokens are counted, want 20", p.name, keys, tokens)
			}
		}
	})
	t.Run("past the limit on requests", func(t *testing.T) {
		s := start(t, func(with *setup) { with.config.RequestRate.Quota, with.config.RequestRate.Window = 3, 1e18 })
		session := s.session("org_a", "00:00:00:00:07:05")
		key, _ := s.key("org_a", schema.KindAPIKey)
		for range 3 {
			s.get(pathLastSeen+"?session_id="+session, key, 200)
		}
		s.get(pathLastSeen+"?session_id="+session, key, 429)
		s.get(pathLastSeen+"?session_id="+session, s.token("org_a", keys.RoleOwner), 200)
	})
}

// FuzzPlainPoll: what is taken for a plain poll is one also for fasthttp, which reads it to its end and
// finds the same in it.
func FuzzPlainPoll(f *testing.F) {
	start := "GET " + pathLastSeen + "?session_id=0123456789abcdef01234567 HTTP/1.1\r\n"
	for _, rest := range []string{
		"Host: x:80\r\nAuthorization: Bearer ak_x\r\n\r\n",
		"Host: x\r\nX-Request-Id: a\r\nAuthorization: Bearer ak_x\r\n\r\n", "X-A: b\r\nx-request-ID: a\r\nHost: x\r\nAuthorization: Bearer ak_x\r\n\r\n",
		"host: x\r\nuser-agent: a b\r\nauthorization: Bearer a.b.c\r\nif-none-match: \"a\", W/\"b\"\r\n\r\n",
		"Host: x\r\nAuthorization: Bearer ak_x\r\nConnection: keep-alive\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n",
		"Host: x\r\nAuthorization: Bearer ak_x\r\nContent-Length: 5\r\n\r\nhello",
		"Host: x\r\nAuthorization: Bearer ak_x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"Host: x\r\nAuthorization: Bearer ak_x\r\nConnection: close\r\n\r\n",
		"Host: x\r\nAuthorization: Bearer ak_x\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"Host: x\r\nAuthorization : Bearer ak_x\r\n\r\n", "Host: x\r\nAuthorization: Bearer ak_x\r\n folded\r\n\r\n",
		"Host: x\r\nAuthorization: Bearer ak_x\n\r\n", "Host: x\r\nAccept: a\rb\r\nAuthorization: Bearer ak_x\r\n\r\n",
	} {
		f.Add([]byte(start + rest))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var p transport.Plain
		if !p.Parse(text, directStart) {
			return
		}
		if _, ok := schema.ParseID(p.Parameter); !ok {
			return // it is not answered directly
		}
		var ctx fasthttp.RequestCtx
		asked := func() string { return strings.ToLower(string(ctx.Request.URI().QueryString())) }
		rest := bytes.NewReader(text)
		reader := bufio.NewReaderSize(rest, len(text)+16)
		if err := ctx.Request.Read(reader); err != nil {
			t.Fatalf("fasthttp does not read it: %v", err)
		}
		header := &ctx.Request.Header
		switch {
		case reader.Buffered()+rest.Len() > 0:
			t.Error("something follows")
		case !header.IsGet() || !header.IsHTTP11() || header.ConnectionClose() || header.ContentLength() > 0 || ctx.Request.MayContinue():
			t.Error("it is no plain GET")
		case string(ctx.Path()) != pathLastSeen || asked() != "session_id="+strings.ToLower(string(p.Parameter)):
			t.Errorf("it asks for %s", ctx.Request.URI())
		case string(caller.Credential(&ctx, &caller.Access{})) != string(p.Credential):
			t.Errorf("its credential is %q, not %q", caller.Credential(&ctx, &caller.Access{}), p.Credential)
		}
		if tags := header.PeekAll(fasthttp.HeaderIfNoneMatch); len(tags) > 1 || string(bytes.Join(tags, nil)) != string(p.Tags) {
			t.Errorf("its tags are %q, not %q", tags, p.Tags)
		}
		for _, name := range []string{headerPrefer, headerRequestID, fasthttp.HeaderCookie, fasthttp.HeaderExpect, fasthttp.HeaderTransferEncoding, fasthttp.HeaderUpgrade} {
			if len(header.Peek(name)) > 0 {
				t.Errorf("it has %s", name)
			}
		}
	})
}

// piecemeal is a connection on which a client sends pieces, each of which arrives by itself.
type piecemeal struct {
	replay
	pieces  []string
	answers bytes.Buffer
}

func (c *piecemeal) Read(p []byte) (int, error) {
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	if c.pieces[0] = c.pieces[0][n:]; c.pieces[0] == "" {
		c.pieces = c.pieces[1:]
	}
	return n, nil
}

func (c *piecemeal) Write(p []byte) (int, error) { return c.answers.Write(p) }

// TestABodyIsNoPoll sends bodies that are polls on a connection that has answered polls before: whatever
// becomes of the request, its body must not be answered.
func TestABodyIsNoPoll(t *testing.T) {
	t.Parallel()
	s := start(t)
	hit := polls(s)[0].request
	next := strings.Replace(hit, "\r\n\r\n", "\r\nX-Request-Id: the-next\r\n\r\n", 1)
	token := s.token("org_a", keys.RoleOwner)
	size := fmt.Sprintf("Content-Length: %d\r\n\r\n", len(hit))
	ingest := "POST " + pathIngest + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/x-ndjson\r\n"
	for name, pieces := range map[string][]string{
		"points that are none":     {ingest + size, hit},
		"in chunks":                {ingest + "Transfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x\r\n", len(hit)), hit, "\r\n0\r\n\r\n"},
		"expected":                 {ingest + "Expect: 100-continue\r\n" + size, hit},
		"refused from its headers": {"POST " + pathIngest + " HTTP/1.1\r\nHost: x\r\n" + size, hit},
		"no such route":            {"POST /nowhere HTTP/1.1\r\nHost: x\r\n" + size, hit},
		"a poll with a body":       {strings.Replace(hit, "\r\n\r\n", "\r\n"+size, 1), hit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &piecemeal{pieces: append(append([]string{hit, hit}, pieces...), next)}
			s.Server.http.ServeConn(accepted(s.Server, c))
			answers := bufio.NewReader(&c.answers)
			var got []string
			for {
				response, err := http.ReadResponse(answers, nil)
				if err != nil {
					break
				}
				if _, err := io.Copy(io.Discard, response.Body); err != nil {
					t.Fatal(err)
				}
				if response.StatusCode != http.StatusContinue {
					got = append(got, response.Header.Get(headerRequestID))
				}
			}
			// Two polls, the request with the body, and what follows unless the connection was closed.
			if len(got) > 4 || len(got) == 4 && got[3] != "the-next" || len(got) < 3 {
				t.Errorf("the answers are %q", got)
			}
		})
	}
}

// TestShutdownUnderPolls: whoever polls while the server stops gets whole answers and then a closed
// connection.
func TestShutdownUnderPolls(t *testing.T) {
	t.Parallel()
	s := start(t)
	hit := polls(s)[0].request
	var clients sync.WaitGroup
	var polling sync.WaitGroup
	for range 16 {
		c := dial(t, s.address)
		polling.Add(1)
		clients.Go(func() {
			answers := bufio.NewReader(c)
			for n := 0; ; n++ {
				if n == 100 {
					polling.Done()
				}
				if _, err := io.WriteString(c, hit); err != nil {
					return
				}
				if _, err := answers.Peek(1); errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
					if n < 100 {
						t.Error("closed too early")
						polling.Done()
					}
					return
				}
				response, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Errorf("answer %d is broken: %v", n, err)
					return
				}
				if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != 200 {
					t.Errorf("answer %d: status %d, %v", n, response.StatusCode, err)
					return
				}
			}
		})
	}
	polling.Wait()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	clients.Wait()
}
