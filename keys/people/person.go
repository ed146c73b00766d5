package people

import (
	"errors"

	"lastseen/keys"
	"lastseen/schema"
)

// Membership is a role in an organisation.
type Membership struct {
	OrgID string
	Role  keys.Role
}

// Person is somebody who signs in with a browser.
type Person struct {
	UserID string
	// Memberships holds at least one organisation and none twice; the first is the one to begin with.
	Memberships []Membership
}

// ErrNoOrganisation means that an account is known but has no role in any organisation. It is an
// schema.InvalidCredential too.
var ErrNoOrganisation = schema.InvalidCredential.Because(errors.New("the account has no role in an organisation"))

// MaxMemberships bounds the organisations of a person that are looked at.
const MaxMemberships = 100

// Check returns a schema.Invalid for a person that no token may speak for.
func (p Person) Check() error {
	if len(p.Memberships) == 0 || len(p.Memberships) > MaxMemberships {
		return schema.Invalid.About("org", "Give 1 to %d organisations.", MaxMemberships)
	}
	seen := map[string]bool{}
	for _, m := range p.Memberships {
		if err := (User{ID: p.UserID, OrgID: m.OrgID, Role: m.Role}).check(); err != nil {
			return err
		}
		if seen[m.OrgID] {
			return schema.Invalid.About("org", "Give each organisation once.")
		}
		seen[m.OrgID] = true
	}
	return nil
}
