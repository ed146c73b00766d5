package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"lastseen/schema"
)

// look is what Examine finds about a subject of a service that answers like a handler, and has no store here.
func look(t *testing.T, subject string, start func(*httptest.Server), handler http.HandlerFunc) []Finding {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	start(server)
	t.Cleanup(server.Close)
	e := &examination{Options: Options{Server: server.URL, Store: schema.Options{ClickHouse: schema.Embedded}}, http: server.Client()}
	e.examineService(t.Context())
	var about []Finding
	for _, finding := range e.findings {
		if finding.Subject == subject {
			about = append(about, finding)
		}
	}
	return about
}

// expect fails unless there is one finding of a status that says something.
func expect(t *testing.T, findings []Finding, status Status, says string) {
	t.Helper()
	if len(findings) != 1 || findings[0].Status != status || !strings.Contains(findings[0].Says, says) || (status == OK) != (findings[0].Mend == "") {
		t.Errorf("found %+v, want %s and %q", findings, status, says)
	}
}

func TestClocksAreCompared(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		off    time.Duration
		status Status
		says   string
	}{
		{0, OK, "agrees"}, {10 * time.Second, Warn, "ahead of"}, {-10 * time.Second, Warn, "behind"}, {time.Minute, Fail, "ahead of"},
	} {
		found := look(t, "clock", (*httptest.Server).Start, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(test.off).UTC().Format(http.TimeFormat))
		})
		expect(t, found, test.status, test.says)
	}
}

func TestWhatDoesNotServeIsSaid(t *testing.T) {
	t.Parallel()
	found := look(t, "service", (*httptest.Server).Start, http.NotFound)
	expect(t, found, Fail, "is not lastseen")
	found = look(t, "ready", (*httptest.Server).Start, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			w.WriteHeader(503)
			w.Write([]byte(`{"detail":"ClickHouse is read-only; an operator must make it writable."}`))
		}
	})
	expect(t, found, Fail, "read-only")
	found = look(t, "service", func(s *httptest.Server) { s.Start(); s.Close() }, http.NotFound)
	expect(t, found, Fail, "nothing answers")
}

func TestCertificatesAreRead(t *testing.T) {
	t.Parallel()
	alive := func(http.ResponseWriter, *http.Request) {}
	for _, test := range []struct {
		left   time.Duration
		status Status
		says   string
	}{{90 * day, OK, "is good until"}, {3*day + time.Hour, Warn, "expires in 3 days"}, {-time.Hour, Fail, "expired"}} {
		found := look(t, "certificate", func(s *httptest.Server) {
			s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t, test.left)}}
			s.StartTLS()
		}, alive)
		expect(t, found, test.status, test.says)
	}
}

// certificate makes a self-signed one that httptest's client is told to trust, and that is good for some time still.
func certificate(t *testing.T, left time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-100 * day), NotAfter: time.Now().Add(left), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestWhatIsNotKnownIsNoFact: neither of a store that was asked, nor of one that the service tells of.
func TestWhatIsNotKnownIsNoFact(t *testing.T) {
	t.Parallel()
	parse := func(metrics string) metrics {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(metrics))
		if err != nil {
			t.Fatal(err)
		}
		return families
	}
	reported, known := parse("lastseen_store_info{version=\"26.7\",schema=\"\",fsync=\"\",retention_days=\"\"} 1\n" +
		"lastseen_store_disk_free_bytes 9e9\nlastseen_store_disk_size_bytes 1e10\nlastseen_store_disk_reserve_bytes NaN\n").reported()
	if !known {
		t.Fatal("a service that knows its ClickHouse's version is said to know nothing")
	}
	asked := schema.Condition{Version: "26.7", DiskFree: 9e9, DiskSize: 1e10, Gaps: []schema.Gap{
		{What: schema.OfSchema, Err: errors.New("no right")}, {What: schema.OfSettings, Err: errors.New("no right")},
	}}
	for _, condition := range []schema.Condition{reported, asked} {
		e := &examination{}
		e.judgeStore(&condition)
		said := map[string]Finding{}
		for _, finding := range e.findings {
			said[finding.Subject] = finding
		}
		for _, subject := range []string{schema.OfSchema, schema.OfSettings} {
			if said[subject].Status != Warn || !strings.Contains(said[subject].Says, "could not be found out") {
				t.Errorf("of the %s it says %+v", subject, said[subject])
			}
		}
		if len(said) != 4 || strings.Contains(said["disk"].Says, "below") {
			t.Errorf("it says what it cannot know: %+v", e.findings)
		}
	}
}

func TestADiskIsJudgedByWhatIsLeftUntilItsReserve(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		free   uint64
		status Status
	}{{50 << 30, OK}, {5 << 30, Warn}, {256 << 20, Fail}} {
		e := &examination{}
		e.judgeDisk(&schema.Condition{DiskFree: test.free, DiskSize: 100 << 30, DiskReserve: 256 << 20})
		expect(t, e.findings, test.status, "of 100 GiB are free")
	}
}
