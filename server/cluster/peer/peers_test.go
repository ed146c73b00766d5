package peer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"lastseen/schema/clickhousetest"
	"lastseen/server/cluster/peer"
)

// node is one that keeps what it was sent and what it logged.
type node struct {
	*peer.Peers
	t        *testing.T
	received chan []byte
	log      lines
}

// lines is a log. It is safe for concurrent use.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start starts a node whose issuer key is a secret.
func start(t *testing.T, secret, id string, change func(*peer.Config)) *node {
	t.Helper()
	key := sha256.Sum256([]byte(secret))
	identity, err := peer.NewIdentity(key[:])
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, received: make(chan []byte, 4096)}
	config := peer.Config{
		Identity: identity, Self: peer.Node{ID: id, Incarnation: 1}, Oldest: 2, Newest: 2, Store: "store", Build: "1.2.3", Log: slog.New(slog.NewTextHandler(&n.log, nil)),
		Receive: func(frame []byte) error { n.received <- frame; return nil },
	}
	address := "127.0.0.1:0"
	if change != nil {
		change(&config)
		if config.Self.Address != "" {
			address = config.Self.Address
		}
	}
	if n.Peers, err = peer.Listen(t.Context(), address, config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return n
}

func (n *node) address() string { return n.Self().Address }

// gets waits for a message, which is sent until it arrives.
func (n *node) gets(from *node, message string) {
	n.t.Helper()
	tick, late := time.NewTicker(10*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for {
		select {
		case got := <-n.received:
			if string(got) == message {
				return
			}
		case <-tick.C:
			from.Send(n.address(), []byte(message))
		case <-late:
			n.t.Fatalf("the message does not arrive; %s; %s", n.log.String(), from.log.String())
		}
	}
}

// until polls for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not after 20 s: %s", what)
		}
	}
}

func TestMessagesArriveInTheirOrderAndWhole(t *testing.T) {
	t.Parallel()
	a, b := start(t, "key", "a", nil), start(t, "key", "b", nil)
	b.gets(a, "hello")
	a.gets(b, "hello back")
	long := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16)
	for i := range 100 {
		a.Send(b.address(), fmt.Append(nil, "message ", i))
	}
	a.Send(b.address(), bytes.Clone(long))
	for i := 0; i < 100; {
		if got := string(<-b.received); got == "hello" {
			continue
		} else if got != fmt.Sprint("message ", i) {
			t.Fatalf("message %d is %q", i, got)
		}
		i++
	}
	if got := <-b.received; !bytes.Equal(got, long) {
		t.Errorf("a message of %d bytes arrives with %d", len(long), len(got))
	}
	stats, received := b.Stats()
	if len(stats) != 1 || !stats[0].Connected || received < 102 {
		t.Errorf("the counts are %+v, and %d received", stats, received)
	}
}

func TestANodeWithAnotherKeyIsRefusedInASentenceOnBothSides(t *testing.T) {
	t.Parallel()
	a, b := start(t, "key", "a", nil), start(t, "another key", "b", nil)
	a.Send(b.address(), []byte("secret"))
	for _, n := range []*node{a, b} {
		until(t, "a sentence about the key: "+n.log.String(), func() bool { return n.log.count("has another issuer key") > 0 })
	}
	if _, err := a.Dial(t.Context(), b.address()); err == nil || !strings.Contains(err.Error(), "another issuer key") {
		t.Errorf("a request to a node with another key is answered %v", err)
	}
	// It goes on trying, and says it once.
	until(t, "what is sent is dropped", func() bool {
		a.Send(b.address(), []byte("secret"))
		stats, _ := a.Stats()
		return stats[0].Dropped > 5 && strings.Contains(stats[0].Trouble, "another issuer key")
	})
	if a.log.count("has another issuer key") != 1 || b.log.count("has another issuer key") != 1 || len(b.received) > 0 {
		t.Errorf("%d messages arrived; the logs are\n%s\n%s", len(b.received), a.log.String(), b.log.String())
	}
}

// speaks has a node speak other versions of the messages than 2 alone.
func speaks(oldest, newest int) func(*peer.Config) {
	return func(c *peer.Config) { c.Oldest, c.Newest = oldest, newest }
}

// TestTwoNodesSpeakTheNewestVersionThatBothKnow, and none is known before they are connected and after.
func TestTwoNodesSpeakTheNewestVersionThatBothKnow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ oldest, newest, want int }{{1, 2, 2}, {2, 9, 3}, {3, 3, 3}} {
		a, b := start(t, "key", "a", speaks(1, 3)), start(t, "key", "b", speaks(c.oldest, c.newest))
		if version := a.Version(b.address()); version != 0 {
			t.Errorf("before they are connected they speak %d", version)
		}
		a.Send(b.address(), []byte("message"))
		b.Send(a.address(), []byte("message"))
		until(t, "both know", func() bool { return a.Version(b.address()) == c.want && b.Version(a.address()) == c.want })
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		until(t, "it is forgotten", func() bool { return a.Version(b.address()) == 0 })
	}
}

// TestNodesThatDoNotBelongTogetherSaySo has, of each, what either side must say.
func TestNodesThatDoNotBelongTogetherSaySo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change        func(*peer.Config)
		sender, taker string
	}{
		"another database":       {func(c *peer.Config) { c.Store = "another" }, "uses another database", "uses another database"},
		"a node that is newer":   {speaks(3, 4), "upgrade this one", "too old to speak with this one"},
		"a node that is too old": {speaks(1, 1), "too old to speak with this one", "upgrade this one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := start(t, "key", "a", nil), start(t, "key", "b", c.change)
			a.Send(b.address(), []byte("message"))
			until(t, "the sender says "+c.sender, func() bool { return a.log.count(c.sender) > 0 })
			until(t, "the other says "+c.taker, func() bool { return b.log.count(c.taker) > 0 })
		})
	}
}

func TestACopyOfADataDirectoryIsRefusedWhileTheOtherOneRuns(t *testing.T) {
	t.Parallel()
	a, b := start(t, "key", "a", nil), start(t, "key", "b", nil)
	copied := start(t, "key", "b", func(c *peer.Config) { c.Self.Incarnation = 2 })
	a.gets(b, "from b")
	copied.Send(a.address(), []byte("from the copy"))
	const sentence = "its data directory is a copy"
	until(t, "both sides say it", func() bool { return a.log.count(sentence) > 0 && copied.log.count(sentence) > 0 })
	if err := b.Close(); err != nil { // and now it is the next process of that node
		t.Fatal(err)
	}
	a.gets(copied, "from the next one")
}

func TestAConnectionThatBreaksIsMadeAnew(t *testing.T) {
	t.Parallel()
	a, b := start(t, "key", "a", nil), start(t, "key", "b", nil)
	proxy := clickhousetest.StartProxy(t, b.address())
	through := func(message string) {
		until(t, message+" arrives", func() bool {
			a.Send(proxy.Address(), []byte(message))
			for len(b.received) > 0 {
				if string(<-b.received) == message {
					return true
				}
			}
			return false
		})
	}
	through("before")
	proxy.Cut()
	until(t, "the sender knows", func() bool {
		stats, _ := a.Stats()
		return !stats[0].Connected && stats[0].Trouble != ""
	})
	proxy.Mend()
	through("after")
}

// TestAPeerThatTakesNothingCostsABoundedQueue holds back what is sent.
func TestAPeerThatTakesNothingCostsABoundedQueue(t *testing.T) {
	t.Parallel()
	a, b := start(t, "key", "a", nil), start(t, "key", "b", nil)
	proxy := clickhousetest.StartProxy(t, b.address())
	until(t, "a message arrives", func() bool { a.Send(proxy.Address(), []byte("first")); return len(b.received) > 0 })
	proxy.Hold()
	message := make([]byte, 1<<20)
	began := time.Now()
	for range 4 * peer.QueuedBytes >> 20 {
		a.Send(proxy.Address(), message)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("sending to a peer that takes nothing takes %s", took)
	}
	if stats, _ := a.Stats(); stats[0].Dropped < 2*peer.QueuedBytes>>20 {
		t.Errorf("%d of %d messages were dropped", stats[0].Dropped, 4*peer.QueuedBytes>>20)
	}
}

func TestAMessageThatIsRefusedEndsTheConnectionWithASentence(t *testing.T) {
	t.Parallel()
	a := start(t, "key", "a", nil)
	b := start(t, "key", "b", func(c *peer.Config) { c.Receive = func([]byte) error { return errors.New("no such message") } })
	a.Send(b.address(), []byte("message"))
	until(t, "the other says why", func() bool { return b.log.count("no such message") > 0 })
	until(t, "the sender knows", func() bool {
		a.Send(b.address(), []byte("message"))
		stats, _ := a.Stats()
		return strings.Contains(stats[0].Trouble, "has ended the connection")
	})
}

func TestRequestsAreHandedOver(t *testing.T) {
	t.Parallel()
	a, b := start(t, "key", "a", nil), start(t, "key", "b", nil)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(b.Requests()) })
	defer serving.Wait()
	defer server.Close()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return a.Dial(ctx, b.address()) }}}
	defer client.CloseIdleConnections()
	for range 3 {
		response, err := client.Post("http://leader/ingest", "text/plain", strings.NewReader("points"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || string(body) != "POST /ingest points" {
			t.Errorf("the leader answers %q: %v", body, err)
		}
	}
	b.gets(a, "and messages all the same")
}

func TestANodeTellsOthersOfItself(t *testing.T) {
	t.Parallel()
	says := func(c *peer.Config) { c.Status = func() []byte { return []byte("all is well") } }
	a, b, silent := start(t, "key", "a", nil), start(t, "key", "b", says), start(t, "key", "c", nil)
	if text, err := a.Status(t.Context(), b.address()); err != nil || string(text) != "all is well" {
		t.Errorf("it says %q: %v", text, err)
	}
	if text, err := a.Status(t.Context(), silent.address()); err == nil {
		t.Errorf("who has nothing to say says %q", text)
	}
	foreign := start(t, "another key", "d", nil)
	if text, err := foreign.Status(t.Context(), b.address()); err == nil || !strings.Contains(err.Error(), "another issuer key") {
		t.Errorf("who has another key is told %q: %v", text, err)
	}
	earlier := httptest.NewUnstartedServer(nil)
	earlier.TLS = &tls.Config{NextProtos: []string{"lastseen-peer", "http/1.1"}}
	earlier.StartTLS()
	defer earlier.Close()
	if text, err := a.Status(t.Context(), earlier.Listener.Addr().String()); err == nil || !strings.Contains(err.Error(), "runs a version of lastseen that cannot be asked") {
		t.Errorf("a node of an earlier version says %q: %v", text, err)
	}
	until(t, "the node that was asked says why it says nothing", func() bool { return b.log.count("another issuer key") == 1 })
}

// TestWhoIsNoNodeGetsNothing talks to the port in other ways.
func TestWhoIsNoNodeGetsNothing(t *testing.T) {
	t.Parallel()
	a := start(t, "key", "a", nil)
	conn, err := net.Dial("tcp", a.address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn)
	if bytes.Contains(answer, []byte("200")) || len(answer) > 512 {
		t.Errorf("plain HTTP is answered %q", answer)
	}
}

// TestANodeFindsOutWhetherItReachesItself has addresses at which it is, nobody is, another node is and something else is.
func TestANodeFindsOutWhetherItReachesItself(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(http.NotFoundHandler())
	web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer web.Close()
	other := start(t, "key", "other", nil)
	for name, tt := range map[string]struct{ address, says string }{
		"itself":         {"", ""},
		"nobody":         {clickhousetest.FreeAddress(t), "refused"},
		"another node":   {other.address(), "another node answers there, with the id other"},
		"another server": {web.Listener.Addr().String(), "is no node of lastseen"},
	} {
		t.Run(name, func(t *testing.T) {
			key := sha256.Sum256([]byte("key"))
			identity, err := peer.NewIdentity(key[:])
			if err != nil {
				t.Fatal(err)
			}
			p, err := peer.Listen(t.Context(), "127.0.0.1:0", peer.Config{
				Identity: identity, Self: peer.Node{ID: "own", Incarnation: 1, Address: tt.address}, Oldest: 2, Newest: 2, Store: "store", Log: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if err := p.Reach(t.Context()); (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("it finds %v, want %q", err, tt.says)
			}
		})
	}
}

// TestANodeAtWhoseAddressTheSenderItselfAnswers is one with an address of each machine's own, such as 127.0.0.1.
func TestANodeAtWhoseAddressTheSenderItselfAnswers(t *testing.T) {
	t.Parallel()
	a := start(t, "key", "a", nil)
	until(t, "the sender says so", func() bool {
		a.Send(a.address(), []byte("message"))
		stats, _ := a.Stats()
		return len(stats) > 0 && strings.Contains(stats[0].Trouble, "this one answers itself")
	})
}
