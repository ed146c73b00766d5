package oidc

import (
	"encoding/json"
	"slices"
	"strings"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/schema"
)

// ClaimNames says where an identity provider's tokens carry what is needed of a person. A name is
// looked for as it stands, so that https://example.com/org works; when there is no such claim, its
// dots lead into objects: o.id is the id in the claim o.
type ClaimNames struct {
	User string // default sub
	Org  string // default org_id
	// Role is the role in Org: a name that ParseRole reads, perhaps after "org:", or a list of names
	// of which the highest role counts. Default org_role.
	Role string
	// Memberships, when not empty, leads to further organisations: an object of roles by organisation,
	// or a list of objects with org_id and org_role.
	Memberships string
}

func (n *ClaimNames) setDefaults() {
	for _, name := range []struct {
		value    *string
		standard string
	}{{&n.User, "sub"}, {&n.Org, "org_id"}, {&n.Role, "org_role"}} {
		if *name.value == "" {
			*name.value = name.standard
		}
	}
}

// person reads a person from the claims of a token whose signature has been checked. It fails with
// schema.InvalidCredential, and with ErrNoOrganisation.
func (n *ClaimNames) person(payload []byte) (people.Person, error) {
	var claims map[string]json.RawMessage
	if json.Unmarshal(payload, &claims) != nil {
		return people.Person{}, schema.InvalidCredential
	}
	person := people.Person{UserID: text(claim(claims, n.User))}
	if org, role := text(claim(claims, n.Org)), highestRole(claim(claims, n.Role)); org != "" && role != 0 {
		person.Memberships = append(person.Memberships, people.Membership{OrgID: org, Role: role})
	}
	if n.Memberships != "" {
		for _, m := range memberships(claim(claims, n.Memberships)) {
			known := slices.ContainsFunc(person.Memberships, func(other people.Membership) bool { return other.OrgID == m.OrgID })
			if !known && len(person.Memberships) < people.MaxMemberships {
				person.Memberships = append(person.Memberships, m)
			}
		}
	}
	if len(person.Memberships) == 0 {
		return people.Person{}, people.ErrNoOrganisation
	}
	if person.Check() != nil {
		return people.Person{}, schema.InvalidCredential
	}
	return person, nil
}

// claim finds a claim by its name or, failing that, by the way to it.
func claim(claims map[string]json.RawMessage, name string) json.RawMessage {
	if value, ok := claims[name]; ok {
		return value
	}
	first, rest, nested := strings.Cut(name, ".")
	if !nested {
		return nil
	}
	var inner map[string]json.RawMessage
	if json.Unmarshal(claims[first], &inner) != nil {
		return nil
	}
	return claim(inner, rest)
}

// text returns a claim that is a string, and the empty string for anything else.
func text(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}

// highestRole returns the highest role that a claim names, and zero when it names none.
func highestRole(value json.RawMessage) (highest keys.Role) {
	var names []string
	if json.Unmarshal(value, &names) != nil {
		names = []string{text(value)}
	}
	for _, name := range names {
		if role, ok := keys.ParseRole(strings.TrimPrefix(name, "org:")); ok {
			highest = max(highest, role)
		}
	}
	return highest
}

// memberships reads a claim that lists organisations. What names no organisation or no role is left out.
func memberships(value json.RawMessage) (found []people.Membership) {
	var byOrg map[string]json.RawMessage
	if json.Unmarshal(value, &byOrg) == nil {
		for org, role := range byOrg {
			if role := highestRole(role); role != 0 {
				found = append(found, people.Membership{OrgID: org, Role: role})
			}
		}
		slices.SortFunc(found, func(a, b people.Membership) int { return strings.Compare(a.OrgID, b.OrgID) })
		return found
	}
	var list []struct {
		Org  string          `json:"org_id"`
		Role json.RawMessage `json:"org_role"`
	}
	if json.Unmarshal(value, &list) != nil {
		return nil
	}
	for _, m := range list {
		if role := highestRole(m.Role); role != 0 && m.Org != "" {
			found = append(found, people.Membership{OrgID: m.Org, Role: role})
		}
	}
	return found
}
