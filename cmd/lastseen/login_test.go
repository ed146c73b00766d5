package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func TestLoginPrintsALinkThatSignsInOnce(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	var out strings.Builder
	command := loginCommand{
		DataDir: s.dir, Server: "https://tracking.example/", Org: "org_a", User: "user_ana", Role: "admin",
		Also: []string{"org_b=member"}, TTL: time.Minute,
	}
	if err := command.Run(streams{out: &out, err: io.Discard}); err != nil {
		t.Fatal(err)
	}
	token, found := strings.CutPrefix(strings.TrimSuffix(out.String(), "\n"), "https://tracking.example/auth/link#")
	if !found || strings.ContainsAny(token, "\n ?") {
		t.Fatalf("it printed %q", out.String())
	}
	b := newBrowser(t)
	if r := b.send(t, "POST", s.base+"/auth/link/v1", fmt.Sprintf(`{"token":%q}`, token)); r.StatusCode != 200 || !strings.Contains(r.body, `"user_id":"user_ana"`) ||
		!strings.Contains(r.body, `{"org_id":"org_a","role":"administrator"}`) || !strings.Contains(r.body, `{"org_id":"org_b","role":"driver"}`) {
		t.Errorf("it signs in %d %s", r.StatusCode, r.body)
	}
}

func TestLoginRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	good := loginCommand{Server: "http://127.0.0.1:8080", Org: "org_a", User: "user_ana", Role: "owner", TTL: time.Minute}
	for name, change := range map[string]func(*loginCommand){
		"a server without a scheme":      func(c *loginCommand) { c.Server = "127.0.0.1:8080" },
		"a server that is a file":        func(c *loginCommand) { c.Server = "file:///etc/passwd" },
		"an organisation without org_":   func(c *loginCommand) { c.Org = "a" },
		"a further one without its role": func(c *loginCommand) { c.Also = []string{"org_b"} },
		"the same organisation twice":    func(c *loginCommand) { c.Also = []string{"org_a=driver"} },
		"no user":                        func(c *loginCommand) { c.User = "" },
		"a week":                         func(c *loginCommand) { c.TTL = 7 * 24 * time.Hour },
	} {
		var out strings.Builder
		command := good
		command.DataDir = t.TempDir()
		change(&command)
		if err := command.Run(streams{out: &out, err: io.Discard}); err == nil || out.Len() > 0 {
			t.Errorf("%s: got %v and %q", name, err, out.String())
		}
	}
}

func TestSignInFlagsThatDoNotGoTogetherAreRefused(t *testing.T) {
	t.Parallel()
	good := signInFlags{PublicURL: "https://t.example", SessionTTL: time.Hour, OIDCIssuer: "https://id.example", OIDCClientID: "c"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := good.signInConfig().provider.RedirectURL; got != "https://t.example/auth/callback" {
		t.Errorf("the provider sends browsers back to %s", got)
	}
	for name, change := range map[string]func(*signInFlags){
		"a public address with a path":     func(f *signInFlags) { f.PublicURL = "https://t.example/x" },
		"a public address without scheme":  func(f *signInFlags) { f.PublicURL = "t.example" },
		"a provider without a client":      func(f *signInFlags) { f.OIDCClientID = "" },
		"a provider and no public address": func(f *signInFlags) { f.PublicURL = "" },
		"a client without a provider":      func(f *signInFlags) { f.OIDCIssuer = "" },
		"a session of a second":            func(f *signInFlags) { f.SessionTTL = time.Second },
	} {
		flags := good
		change(&flags)
		if flags.Validate() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
