package clickhousetest_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"lastseen/schema/clickhousetest"
)

// ask runs a statement over HTTP and returns the answer, or the error's text.
func ask(t *testing.T, server *clickhousetest.Server, sql string) string {
	t.Helper()
	response, err := http.Post(server.URL(""), "text/plain", strings.NewReader(sql))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAServerKeepsItsDataThroughKillsAndRestarts(t *testing.T) {
	t.Parallel()
	server := clickhousetest.Start(t, clickhousetest.Options{})
	ask(t, server, "CREATE TABLE numbers (n UInt32) ENGINE = MergeTree ORDER BY n SETTINGS fsync_after_insert = 1")
	ask(t, server, "INSERT INTO numbers VALUES (1), (2)")
	check(t, server.Restart())
	if got := ask(t, server, "SELECT sum(n) FROM numbers"); got != "3" {
		t.Errorf("after a kill the sum is %q, want 3", got)
	}
	check(t, server.Terminate())
	check(t, server.Start())
	if got := ask(t, server, "SELECT sum(n) FROM numbers"); got != "3" {
		t.Errorf("after a termination the sum is %q, want 3", got)
	}
}

func TestAFrozenServerAnswersAgainWhenItIsThawed(t *testing.T) {
	t.Parallel()
	server := clickhousetest.Start(t, clickhousetest.Options{})
	check(t, server.Freeze())
	client := http.Client{Timeout: 200 * time.Millisecond}
	if _, err := client.Get(server.URL("")); err == nil {
		t.Error("a frozen server has answered")
	}
	check(t, server.Thaw())
	if got := ask(t, server, "SELECT 7"); got != "7" {
		t.Errorf("the answer is %q, want 7", got)
	}
}

func TestTwoServersFormACluster(t *testing.T) {
	t.Parallel()
	servers := clickhousetest.StartCluster(t, "pair", 2, clickhousetest.Options{})
	for i, server := range servers {
		if got, want := ask(t, server, "SELECT getMacro('shard')"), strconv.Itoa(i+1); got != want {
			t.Errorf("the macro shard is %q, want %q", got, want)
		}
	}
	if got := ask(t, servers[0], "SELECT count() FROM clusterAllReplicas('pair', system.one)"); got != "2" {
		t.Errorf("the cluster has %s machines, want 2", got)
	}
}

func TestUsersAreThoseOfTheOptions(t *testing.T) {
	t.Parallel()
	server := clickhousetest.Start(t, clickhousetest.Options{Users: `
<users><ann><password>secret</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></ann></users>`})
	for password, want := range map[string]int{"secret": http.StatusOK, "wrong": http.StatusForbidden} {
		response, err := http.Get("http://ann:" + password + "@" + server.Address() + "/?query=SELECT+currentUser()")
		check(t, err)
		check(t, response.Body.Close())
		if response.StatusCode != want {
			t.Errorf("with the password %q ann gets status %d, want %d", password, response.StatusCode, want)
		}
	}
}

func TestTLSIsEndedInFrontOfAServer(t *testing.T) {
	t.Parallel()
	server := clickhousetest.Start(t, clickhousetest.Options{})
	certificates := clickhousetest.NewCertificates(t)
	authority, err := os.ReadFile(certificates.CA)
	check(t, err)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	own, err := tls.LoadX509KeyPair(certificates.ClientCert, certificates.ClientKey)
	check(t, err)
	address := "https://" + server.ListenTLS(t, certificates, true) + "/ping"

	stranger := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	if _, err := stranger.Get(address); err == nil {
		t.Error("a client without a certificate has an answer")
	}
	known := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, Certificates: []tls.Certificate{own}}}}
	response, err := known.Get(address)
	check(t, err)
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "Ok.\n" {
		t.Errorf("the answer is %q, %v", body, err)
	}
}
