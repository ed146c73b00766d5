package clickhousetest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Proxy stands between a client and a server and treats what passes as it is told to. It is safe for concurrent use.
type Proxy struct {
	tb       testing.TB
	upstream string
	mu       sync.Mutex
	proxy    *toxiproxy.Proxy
}

// StartProxy starts a proxy in front of an address, on a port of its own, for as long as the test lasts.
func StartProxy(tb testing.TB, upstream string) *Proxy {
	tb.Helper()
	p := &Proxy{tb: tb, upstream: upstream}
	p.start("127.0.0.1:0")
	tb.Cleanup(p.Cut)
	return p
}

func (p *Proxy) start(listen string) {
	p.tb.Helper()
	proxies := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.New(io.Discard))
	p.proxy = toxiproxy.NewProxy(proxies, "proxy", listen, p.upstream)
	if err := p.proxy.Start(); err != nil {
		p.tb.Fatal(err)
	}
}

// Address is where the proxy listens.
func (p *Proxy) Address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proxy.Listen
}

// LoseAnswersAfter passes requests on and of what is answered on each connection only so many bytes more, after which it breaks
// the connection.
func (p *Proxy) LoseAnswersAfter(bytes int) {
	p.tb.Helper()
	p.add(fmt.Sprintf(`{"name":"lose","type":"limit_data","stream":"downstream","attributes":{"bytes":%d}}`, bytes))
}

// Direction is one of the two in which a connection passes bytes.
type Direction string

// The directions: to the server, with what clients send, and to the client, with what servers answer.
const (
	ToServer Direction = "upstream"
	ToClient Direction = "downstream"
)

// Hold keeps back what is sent from now on, for Release to pass on.
func (p *Proxy) Hold() {
	p.tb.Helper()
	p.Delay(ToServer, time.Hour, 0)
}

// Delay passes on what comes in a direction so much later, more or less.
func (p *Proxy) Delay(in Direction, by, moreOrLess time.Duration) {
	p.tb.Helper()
	p.add(fmt.Sprintf(`{"name":"delay-%s","type":"latency","stream":%[1]q,"attributes":{"latency":%d,"jitter":%d}}`, in, by.Milliseconds(), moreOrLess.Milliseconds()))
}

// Lose passes nothing on in a direction. The connections stay, as when packets are lost, until Mend.
func (p *Proxy) Lose(in Direction) {
	p.tb.Helper()
	p.add(fmt.Sprintf(`{"name":"lose-%s","type":"timeout","stream":%[1]q,"attributes":{"timeout":0}}`, in))
}

func (p *Proxy) add(toxic string) {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		p.tb.Fatal(err)
	}
}

// Release passes on at once what Hold or Delay has kept back, and what comes from then on as it comes.
func (p *Proxy) Release() {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proxy.Toxics.ResetToxics(context.Background())
}

// Cut breaks every connection and takes no others.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proxy.Stop()
}

// Mend breaks every connection and passes everything on from then on. Another proxy takes the place of the one, which would first pass
// on all that it has kept back.
func (p *Proxy) Mend() {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proxy.Stop()
	p.start(p.proxy.Listen)
}
