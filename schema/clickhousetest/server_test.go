package clickhousetest_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"lastseen/schema/clickhousetest"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAServerKeepsItsDataThroughKillsAndRestarts(t *testing.T) {
	t.Parallel()
	server := clickhousetest.Start(t, clickhousetest.Options{})
	server.Query(t, "CREATE TABLE numbers (n UInt32) ENGINE = MergeTree ORDER BY n SETTINGS fsync_after_insert = 1")
	server.Query(t, "INSERT INTO numbers VALUES (1), (2)")
	check(t, server.Restart())
	if got := server.Query(t, "SELECT sum(n) FROM numbers"); got != "3" {
		t.Errorf("after a kill the sum is %q, want 3", got)
	}
	check(t, server.Terminate())
	check(t, server.Start())
	if got := server.Query(t, "SELECT sum(n) FROM numbers"); got != "3" {
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
	if got := server.Query(t, "SELECT 7"); got != "7" {
		t.Errorf("the answer is %q, want 7", got)
	}
}

func TestTwoServersFormACluster(t *testing.T) {
	t.Parallel()
	servers := clickhousetest.StartCluster(t, "pair", 2, clickhousetest.Options{})
	for i, server := range servers {
		if got, want := server.Query(t, "SELECT getMacro('shard')"), strconv.Itoa(i+1); got != want {
			t.Errorf("the macro shard is %q, want %q", got, want)
		}
	}
	if got := servers[0].Query(t, "SELECT count() FROM clusterAllReplicas('pair', system.one)"); got != "2" {
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
