package caller

import (
	"bufio"
	"net/netip"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"lastseen/server/transport"
)

func TestTheAddressThatIsCounted(t *testing.T) {
	t.Parallel()
	p := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, test := range []struct {
		name      string
		forwarded []string
		want      string
	}{
		{"nothing was forwarded", nil, "10.0.0.1/32"},
		{"one client", []string{"192.0.2.7"}, "192.0.2.7/32"},
		{"what the client wrote does not count", []string{"198.51.100.1, 192.0.2.7"}, "192.0.2.7/32"},
		{"nor does a line of its own", []string{"198.51.100.1", "192.0.2.7"}, "192.0.2.7/32"},
		{"several proxies", []string{"192.0.2.7, 10.1.1.1", "fd00::1"}, "192.0.2.7/32"},
		{"an IPv6 client counts by its network", []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64"},
		{"IPv4 in IPv6", []string{"::ffff:192.0.2.7"}, "192.0.2.7/32"},
		{"nonsense ends the search", []string{"192.0.2.7, unknown"}, "10.0.0.1/32"},
		{"nonsense before a proxy", []string{"x, 10.9.9.9"}, "10.9.9.9/32"},
		{"only proxies", []string{"10.2.2.2"}, "10.2.2.2/32"},
		{"empty", []string{"", ","}, "10.0.0.1/32"},
	} {
		var lines [][]byte
		for _, line := range test.forwarded {
			lines = append(lines, []byte(line))
		}
		if got := transport.AddressPrefix(p.Address(netip.MustParseAddr("10.0.0.1"), lines)); got.String() != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	trusting := func(trusted Proxies, forwarded string) netip.Prefix {
		var ctx fasthttp.RequestCtx
		if err := ctx.Request.Header.Read(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + forwarded + "\r\n\r\n"))); err != nil {
			t.Fatal(err)
		}
		return trusted.Client(&ctx) // from 0.0.0.0
	}
	if trusting(nil, "192.0.2.1") != trusting(nil, "192.0.2.2") {
		t.Error("a header counts that nobody vouches for")
	}
	here := Proxies{netip.MustParsePrefix("0.0.0.0/32")}
	if trusting(here, "192.0.2.1") == trusting(here, "192.0.2.2") {
		t.Error("two clients behind a trusted proxy count as one")
	}
}
