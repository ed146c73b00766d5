package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/server/console"
)

// loginCommand prints a link that signs a browser in once. Like token it only touches the issuer's key
// file, and so works whether or not the service runs.
type loginCommand struct {
	DataDir string        `default:"lastseen-data" placeholder:"DIR" help:"The service's data directory, where the issuer's key is; made when absent (default ${default})."`
	Server  string        `default:"http://127.0.0.1:8080" placeholder:"URL" help:"Address under which the browser reaches the service (default ${default})."`
	Org     string        `required:"" placeholder:"ORG" help:"Organisation to sign in to; begins with org_."`
	User    string        `required:"" placeholder:"USER" help:"User to sign in as."`
	Role    string        `required:"" enum:"owner,administrator,admin,operator,driver,member" placeholder:"ROLE" help:"What the user may do: ${enum}."`
	Also    []string      `placeholder:"ORG=ROLE" help:"Further organisations that the user can switch to, with the role there."`
	TTL     time.Duration `name:"ttl" default:"10m" placeholder:"DURATION" help:"How long the link is good, at most 24h; the session that it begins lasts longer (default ${default})."`
}

// Validate refuses organisations that could not be ones.
func (c *loginCommand) Validate() error {
	err := checkOrg("--org", c.Org)
	for _, also := range c.Also {
		org, _, _ := strings.Cut(also, "=")
		err = errors.Join(err, checkOrg("--also", org))
	}
	return err
}

// Run implements the command.
func (c *loginCommand) Run(std streams) error {
	person, err := c.person()
	if err != nil {
		return err
	}
	issuer, err := openIssuerAloud(c.DataDir, std.err)
	if err != nil {
		return err
	}
	link, err := signInLink(issuer, c.Server, person, c.TTL)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.out, link)
	return err
}

// person reads whom the flags mean.
func (c *loginCommand) person() (people.Person, error) {
	person := people.Person{UserID: c.User}
	for _, text := range append([]string{c.Org + "=" + c.Role}, c.Also...) {
		org, roleName, _ := strings.Cut(text, "=")
		role, ok := keys.ParseRole(roleName)
		if !ok {
			return person, fmt.Errorf("there is no role %q: give --also ORG=ROLE with owner, administrator, operator or driver", roleName)
		}
		person.Memberships = append(person.Memberships, people.Membership{OrgID: org, Role: role})
	}
	return person, nil
}

// signInLink makes a link that signs a person in once at a service. The token stands behind the #,
// which browsers do not send, so that it gets into no log.
func signInLink(issuer *people.Issuer, server string, person people.Person, ttl time.Duration) (string, error) {
	base, err := url.Parse(server)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return "", errors.New("the server's address must begin with http:// or https://")
	}
	token, err := issuer.SignLink(person, ttl)
	if err != nil {
		return "", err
	}
	return (&url.URL{Scheme: base.Scheme, Host: base.Host, Path: console.LinkPath, Fragment: token}).String(), nil
}
