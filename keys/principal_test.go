package keys_test

import (
	"testing"

	"lastseen/keys"
)

func TestParseRole(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]keys.Role{
		"owner": keys.RoleOwner, "administrator": keys.RoleAdministrator, "admin": keys.RoleAdministrator,
		"operator": keys.RoleOperator, "driver": keys.RoleDriver, "member": keys.RoleDriver,
	} {
		if got, ok := keys.ParseRole(text); !ok || got != want {
			t.Errorf("%q: got %v, %v", text, got, ok)
		}
		if again, ok := keys.ParseRole(want.String()); !ok || again != want {
			t.Errorf("%v does not read back", want)
		}
	}
	for _, text := range []string{"", "none", "Owner", "root", "owner "} {
		if got, ok := keys.ParseRole(text); ok || got != 0 {
			t.Errorf("%q: got %v, %v", text, got, ok)
		}
	}
	if !(keys.RoleDriver < keys.RoleOperator && keys.RoleOperator < keys.RoleAdministrator && keys.RoleAdministrator < keys.RoleOwner) {
		t.Error("the roles are out of order")
	}
	if got := keys.Role(0).String(); got != "none" {
		t.Errorf("no role is called %q", got)
	}
}
