package clickhousetest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

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

// Hold keeps back what is sent from now on, for Release to pass on.
func (p *Proxy) Hold() {
	p.tb.Helper()
	p.add(`{"name":"hold","type":"latency","stream":"upstream","attributes":{"latency":3600000}}`)
}

func (p *Proxy) add(toxic string) {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		p.tb.Fatal(err)
	}
}

// Release passes on what Hold has kept back.
func (p *Proxy) Release() {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.proxy.Toxics.RemoveToxic(context.Background(), "hold"); err != nil {
		p.tb.Fatal(err)
	}
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
