package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// configured runs a command with a configuration file of some content.
func configured(t *testing.T, env []string, content string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "lastseen.toml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return command(t, env, append(args, "--config", name)...)
}

func TestConfigCheckSaysWhatCountsAndWhereItComesFrom(t *testing.T) {
	t.Parallel()
	const file = `
addr = "127.0.0.1:9999" # of the file, unless the environment says otherwise
histories = 4
no-fsync = true
trusted-proxies = ["10.0.0.0/8", "192.168.0.0/16"]
clickhouse = "http://user:hunter2@host:8123/db?password=hunter5"
clickhouse-password = "hunter3"
public-url = "https://tracking.example"
oidc-issuer = "https://id.example"
oidc-client-id = "lastseen"
`
	stdout, stderr, code := configured(t, []string{"LASTSEEN_ADDR=127.0.0.1:7000", "LASTSEEN_OIDC_CLIENT_SECRET=hunter4"}, file, "config", "check")
	if code != 0 || stderr != "" || strings.Contains(stdout, "hunter") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	for _, want := range []string{
		`addr +127\.0\.0\.1:7000 +LASTSEEN_ADDR`,
		`histories +4 +file`,
		`no-fsync +true +file`,
		`trusted-proxies +10\.0\.0\.0/8,192\.168\.0\.0/16 +file`,
		`clickhouse +http://user:xxxxx@host:8123/db\?password=xxxxx +file`,
		`clickhouse-password +\(set\) +file`,
		`oidc-client-secret +\(set\) +LASTSEEN_OIDC_CLIENT_SECRET`,
		`queue-wait +1s +default`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(stdout) {
			t.Errorf("no line like %s in\n%s", want, stdout)
		}
	}
}

func TestMistakesInAConfigurationFileGetASentence(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		`adr = "127.0.0.1:1"`:     `the configuration file has "adr", which is no flag`,
		`config = "other.toml"`:   `the configuration file has "config", which is no flag`,
		"addr = \"x\"\nqueries =": "line 2 of the configuration file is no TOML",
		"[limits]\nqueries = 3":   "limits in the configuration file: give text in quotes",
		`histories = "many"`:      "--histories",
		`queue-wait = "5h"`:       "--queue-wait must be from 0s to 1m0s",
	} {
		for _, line := range []string{"config check", "serve"} {
			stdout, stderr, code := configured(t, nil, content, strings.Fields(line)...)
			if code == 0 || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s with %q: exit code %d, stdout %q, stderr %q, want %q", line, content, code, stdout, stderr, want)
			}
		}
	}
}

// TestTheCommandLineGoesBeforeAConfigurationFile starts nothing: the value on the command line is the one that is refused.
func TestTheCommandLineGoesBeforeAConfigurationFile(t *testing.T) {
	t.Parallel()
	_, stderr, code := configured(t, nil, "queries = 3", "serve", "--queries=-7")
	if code != 2 || !strings.Contains(stderr, "--queries must be 0 or more") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	_, stderr, code = configured(t, nil, "queries = -7", "token", "--org", "org_a", "--user", "u", "--role", "owner", "--data-dir", t.TempDir())
	if code != 0 {
		t.Errorf("a file with a flag of another command: exit code %d, stderr %q", code, stderr)
	}
}

func FuzzConfigFile(f *testing.F) {
	f.Add("addr = \"127.0.0.1:8080\"\nhistories = 4\n")
	f.Add("a = [1, [true, \"x\"], 2.5]")
	f.Add("[table]\nb = 1979-05-27T07:32:00Z")
	f.Fuzz(func(t *testing.T, content string) {
		if resolver, err := loadConfigFile(strings.NewReader(content)); (resolver == nil) == (err == nil) {
			t.Errorf("%q gives %v and %v", content, resolver, err)
		}
	})
}
