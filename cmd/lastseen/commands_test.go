package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/schema/schematest"
)

func TestMistakesOnTheCommandLineExitWith2AndASentence(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"fly":                                                    "unexpected argument fly",
		"serve --addr":                                           "--addr",
		"serve --ingest-interval 2s":                             "--ingest-interval must be from 0s to 1s",
		"serve --max-connections 0":                              "--max-connections must be 1 or more",
		"serve --max-connections-per-address=-1":                 "--max-connections-per-address must be 0 or more",
		"serve --ingest-memory 0":                                "--ingest-memory must be 1 or more",
		"serve --ingest-queue 0":                                 "--ingest-queue must be 1 or more",
		"serve --queries=-1":                                     "--queries must be 0 or more",
		"serve --long-polls 0":                                   "--long-polls must be 1 or more",
		"serve --histories 0":                                    "--histories must be 1 or more",
		"serve --history-max-points=-1":                          "--history-max-points must be 0 or more",
		"serve --history-max-bytes=-1":                           "--history-max-bytes must be 0 or more",
		"serve --history-max-time=-1s":                           "--history-max-time must be from 0s to 24h0m0s",
		"serve --queue-wait=-1s":                                 "--queue-wait must be from 0s to 1m0s",
		"serve --queue-wait=1000h":                               "--queue-wait must be from 0s to 1m0s",
		"serve --poll-wait=-1ms":                                 "--poll-wait must be from 0s to 1s",
		"serve --poll-wait=1m":                                   "--poll-wait must be from 0s to 1s",
		"serve --drain-delay=-1s":                                "--drain-delay must be from 0s to 1h0m0s",
		"serve --shutdown-timeout=-30s":                          "--shutdown-timeout must be from 0s to 1h0m0s",
		"serve --shutdown-timeout=9999h":                         "--shutdown-timeout must be from 0s to 1h0m0s",
		"demo --drain-delay=9999h":                               "--drain-delay must be from 0s to 1h0m0s",
		"serve --cached-keys 0":                                  "--cached-keys must be 1 or more",
		"serve --clickhouse-connections=-1":                      "--clickhouse-connections must be 0 or more",
		"demo --queries=-1":                                      "--queries must be 0 or more",
		"serve --shutdown-timeout 3":                             "--shutdown-timeout",
		"token --org org_x --user u --role x":                    "--role",
		"token --org org_x":                                      "missing flags",
		"keys create":                                            "missing flags: --name",
		"keys create --name n --expires-in soon":                 "--expires-in=soon must be a number of days such as 90d",
		"keys create --name n --expires-at 2027":                 `--expires-at: "2027" is no time: give a day such as`,
		"token --org acme --user u --role owner":                 "--org=acme must begin with org_, such as org_acme",
		"login --org org_a --also b=owner --user u --role owner": "--also=b must begin with org_, such as org_acme",
		"export --out x --end 2026-01-02 --start yesterday":      `--start: "yesterday" is no time: give a day such as ` + time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly),
		"keys create --name n --expires-at 2027-01-01T00:00:00Z --expires-in 1d": "can't be used together",
		"keys revoke --id ak_secretsecret":                                       "must be the key's id, not the key itself",
		"import":                                                                 `expected "<FILE> ..."`,
		"import --map speed=v:furlongs x.csv":                                    "names a unit that speed does not have",
		"import --format xls x.csv":                                              "--format",
		"import --encoding klingon x.csv":                                        "the encoding \"klingon\" is not known",
		"import --time-zone Mars x.csv":                                          "\"Mars\" is not a time zone",
		"import --batch-points 100001 x.csv":                                     "--batch-points must be 1 to 100000",
		"keys rotate --id ak_secretsecret":                                       "must be the key's id, not the key itself",
		"keys rotate --id x --grace 200h":                                        "--grace must be whole seconds, at most 168h",
		"export --out x":                                                         "missing flags: ",
		"export --out - --format gpx --start 2026-01-01T00:00:00Z --end 2026-01-02T00:00:00Z": "--out=- is for ndjson and csv",
		"export --out x --start 2026-01-02T00:00:00Z --end 2026-01-01T00:00:00Z":              "--start must be before --end",
		"demo --vehicles 0": "--vehicles must be 1 to 2000",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := command(t, nil, strings.Fields(line)...)
			if code != 2 || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d, stdout %q, stderr %q, want 2 and %q", code, stdout, stderr, want)
			}
			if strings.Contains(stderr, "secretsecret") {
				t.Error("the message shows what may be a key")
			}
		})
	}
}

func TestACommandLineThatHasNotBegunGetsHelp(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{"": "Run the service.", "keys": "Revoke an API key", "keys --help": "Revoke an API key"} {
		stdout, stderr, code := command(t, nil, strings.Fields(line)...)
		if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "Usage: lastseen") || !strings.Contains(stdout, want) {
			t.Errorf("lastseen %s: exit code %d, stdout %q, stderr %q", line, code, stdout, stderr)
		}
	}
}

func TestATokenInTheWrongFolderSaysThatItMadeAKey(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"token", "login"} {
		dir := filepath.Join(t.TempDir(), "elsewhere")
		args := []string{name, "--data-dir", dir, "--org", "org_x", "--user", "u", "--role", "owner"}
		stdout, stderr, code := command(t, nil, args...)
		if code != 0 || strings.Count(stdout, "\n") != 1 || !strings.Contains(stderr, "one was made in "+dir+"/issuer.key: a service with another --data-dir will not accept") {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", name, code, stdout, stderr)
		}
		if _, stderr, code := command(t, nil, args...); code != 0 || stderr != "" {
			t.Errorf("%s, again: exit code %d, stderr %q", name, code, stderr)
		}
	}
}

func TestFailuresExitWith1AndASentence(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no token":                    {[]string{"keys", "list"}, "a user token is needed: set LASTSEEN_TOKEN"},
		"no token file":               {[]string{"keys", "list", "--token-file", "absent"}, "read the user token: open absent"},
		"a token that is none":        {[]string{"keys", "list", "--server", s.base, "--token", "x"}, "flags or environment give"},
		"a bad server address":        {[]string{"keys", "list", "--server", "ftp://x", "--token", "x"}, "must look like http://127.0.0.1:8080"},
		"the address is taken":        {[]string{"serve", "--data-dir", t.TempDir(), "--addr", strings.TrimPrefix(s.base, "http://")}, "is taken: stop what listens on it"},
		"a bad address":               {[]string{"serve", "--data-dir", t.TempDir(), "--addr", "nowhere"}, "--addr is HOST:PORT"},
		"the data dir is taken":       {[]string{"serve", "--data-dir", s.dir, "--addr", "127.0.0.1:0"}, "start the service: open the embedded engine"},
		"the demo's address is taken": {[]string{"demo", "--data-dir", t.TempDir(), "--addr", strings.TrimPrefix(s.base, "http://")}, "is taken: stop what listens on it"},
		"a life too short":            {[]string{"token", "--data-dir", t.TempDir(), "--org", "org_x", "--user", "u", "--role", "owner", "--ttl", "1ms"}, "at least one second"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "the data dir is taken" {
				schematest.OnlyOn(t, schematest.Embedded, "only the embedded engine holds the directory")
			}
			stdout, stderr, code := command(t, nil, test.args...)
			if code != 1 || stdout != "" || !strings.Contains(stderr, test.want) {
				t.Errorf("exit code %d, stdout %q, stderr %q, want 1 and %q", code, stdout, stderr, test.want)
			}
		})
	}
}

func TestEveryFlagShowsItsVariableAndSecretsAreWarnedAbout(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"serve", "demo", "token", "keys create", "keys list", "keys revoke", "keys rotate", "import", "export", "backup", "restore"} {
		stdout, _, code := command(t, nil, append(strings.Fields(line), "--help")...)
		if code != 0 {
			t.Errorf("%s --help exits with %d", line, code)
		}
		flags, variables := strings.Count(stdout, "\n      --")+strings.Count(stdout, "\n  --"), strings.Count(stdout, "LASTSEEN_")
		if flags--; variables < flags { // all but --version
			t.Errorf("%s --help has %d flags and %d variables:\n%s", line, flags, variables, stdout)
		}
		if strings.Contains(stdout, "--token=") && !strings.Contains(stdout, "list this machine's processes") {
			t.Errorf("%s --help does not say who can read --token", line)
		}
	}
}

func TestKeysFromTheShell(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(s.token(t, "org_shell", keys.RoleOwner)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"LASTSEEN_SERVER=" + s.base, "LASTSEEN_TOKEN_FILE=" + file}
	run := func(args ...string) (stdout, stderr string) {
		t.Helper()
		stdout, stderr, code := command(t, env, append([]string{"keys"}, args...)...)
		if code != 0 {
			t.Fatalf("keys %q: exit code %d, stderr %q", args, code, stderr)
		}
		return stdout, stderr
	}
	key, record := run("create", "--name", "shell", "--expires-in", "12h")
	var created struct {
		ID string `json:"_id"`
	}
	if err := json.Unmarshal([]byte(record), &created); err != nil || strings.Contains(record, strings.TrimSpace(key)) {
		t.Fatalf("record %s: %v", record, err)
	}
	poll := func() int {
		status, _, err := s.do(t.Context(), http.MethodGet, "/tracking/sessions/list/v1", url.Values{}, strings.TrimSpace(key), "")
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	if got := poll(); got != http.StatusOK {
		t.Errorf("the new key gets %d", got)
	}
	if table, _ := run("list"); !strings.HasPrefix(table, "ID ") || !strings.Contains(table, created.ID) || !strings.Contains(table, "active") || strings.Contains(table, strings.TrimSpace(key)) {
		t.Errorf("list prints %s", table)
	}
	var listed []struct {
		ID string `json:"_id"`
	}
	if text, _ := run("list", "--json"); json.Unmarshal([]byte(text), &listed) != nil || len(listed) != 1 || listed[0].ID != created.ID {
		t.Errorf("list --json prints %s", text)
	}
	if text, _ := run("revoke", "--id", created.ID); !strings.Contains(text, `"status": "revoked"`) {
		t.Errorf("revoke prints %s", text)
	}
	if got := poll(); got != http.StatusUnauthorized {
		t.Errorf("the revoked key gets %d", got)
	}
	if _, stderr, code := command(t, env, "keys", "revoke", "--id", "0123456789abcdef01234567"); code != 1 || !strings.Contains(stderr, "404") {
		t.Errorf("revoking a key that is not there: exit code %d, %q", code, stderr)
	}
}

func TestImportFromTheShell(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	env := []string{"LASTSEEN_SERVER=" + s.base, "LASTSEEN_TOKEN=" + s.token(t, "org_import", keys.RoleOperator)}
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	gpx := write("ride.gpx", `<gpx version="1.1"><trk><trkseg><trkpt lat="1" lon="2"><ele>3</ele><time>2026-01-15T09:30:00Z</time></trkpt></trkseg></trk></gpx>`)
	geojson := write("walk.geojson", `{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[2,1,3]},"properties":{"time":"2026-01-15T09:30:00Z"}}]}`)
	bad := write("bad.csv", "device,ts,lat,lon\nb,2026-01-15T09:30:00Z,1,2\nb,2026-01-15T09:30:01Z,91,2\nb,soon,1,2\nb,2100-01-15T09:30:01Z,1,2\n")
	t.Run("several formats at once", func(t *testing.T) {
		stdout, stderr, code := command(t, env, "import", gpx, geojson)
		if code != 0 || stdout != "2 points read: 2 accepted, 0 rejected; 2 sessions, 2 of them new\n" {
			t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
	})
	t.Run("standard input", func(t *testing.T) {
		stdout, stderr, code := commandWithInput(t, `{"lat":1,"lon":2,"ts":1768469400}`+"\n", env, "import", "--device", "piped", "-")
		if code != 0 || stdout != "1 points read: 1 accepted, 0 rejected; 1 sessions, 1 of them new\n" {
			t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
		next := regexp.MustCompile(`the session is (\w{24}); where it was last seen:\n  (curl .*)\n`).FindStringSubmatch(stderr)
		if next == nil {
			t.Fatalf("stderr %q does not say what is next", stderr)
		}
		shell := exec.CommandContext(t.Context(), "sh", "-c", next[2])
		shell.Env = append(os.Environ(), env...)
		if seen, err := shell.CombinedOutput(); err != nil || !strings.Contains(string(seen), next[1]) {
			t.Errorf("%s prints %s, %v", next[2], seen, err)
		}
	})
	t.Run("bad rows", func(t *testing.T) {
		for _, test := range []struct {
			flag string
			code int
		}{{"--allow-rejects", 0}, {"--no-such", 2}, {"", 1}} {
			args := []string{"import", bad}
			if test.flag != "" {
				args = append(args, test.flag)
			}
			stdout, stderr, code := command(t, env, args...)
			if code != test.code {
				t.Errorf("%s: exit code %d, want %d, stderr %q", test.flag, code, test.code, stderr)
			}
			if code == 2 {
				continue
			}
			if !strings.HasPrefix(stdout, "4 points read: 1 accepted, 3 rejected; 1 sessions") {
				t.Errorf("stdout %q", stdout)
			}
			for _, line := range []string{bad + ":3: ", bad + `:4: the timestamp (column ts) "soon" is not a time`, bad + ":5: "} {
				if !strings.Contains(stderr, line) {
					t.Errorf("stderr %q, want %q in it", stderr, line)
				}
			}
		}
	})
	t.Run("a role that may not", func(t *testing.T) {
		driver := []string{"LASTSEEN_SERVER=" + s.base, "LASTSEEN_TOKEN=" + s.token(t, "org_import", keys.RoleDriver)}
		_, stderr, code := command(t, driver, "import", gpx)
		if code != 1 || !strings.Contains(stderr, "the import stopped early") || !strings.Contains(stderr, "403") {
			t.Errorf("exit code %d, stderr %q", code, stderr)
		}
	})
}

func TestWhatAnotherOrganisationCallsItsDevicesIsNoMatterToAnImport(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	dir := t.TempDir()
	file := func(ids ...string) string {
		t.Helper()
		var text strings.Builder
		text.WriteString("session_id,timestamp,latitude,longitude\n")
		for second := range 15 {
			for _, id := range ids {
				fmt.Fprintf(&text, "%s,2026-01-15T09:30:%02dZ,1,2\n", id, second)
			}
		}
		path := filepath.Join(dir, strings.Join(ids, "-")+".csv")
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	load := func(org string, args ...string) (stdout, stderr string, code int) {
		t.Helper()
		env := []string{"LASTSEEN_SERVER=" + s.base, "LASTSEEN_TOKEN=" + s.token(t, org, keys.RoleOperator)}
		return command(t, env, append([]string{"import", "--new-sessions"}, args...)...)
	}
	if _, stderr, code := load("org_first", file("taken-1", "taken-2")); code != 0 {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	mixed := file("free-1", "taken-1", "taken-2")
	for _, made := range []int{3, 0} { // and importing again changes nothing
		stdout, stderr, code := load("org_second", mixed)
		if want := fmt.Sprintf("45 points read: 45 accepted, 0 rejected; 3 sessions, %d of them new\n", made); code != 0 || stdout != want || strings.Contains(stderr, "another organisation") {
			t.Errorf("exit code %d, stdout %q, want %q, stderr %q", code, stdout, want, stderr)
		}
	}
	stdout, stderr, code := load("org_second", "--map", "device=", "--device", "renamed", file("taken-1")) // as the message says
	if code != 0 || stdout != "15 points read: 15 accepted, 0 rejected; 1 sessions, 1 of them new\n" {
		t.Errorf("under another name: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}
