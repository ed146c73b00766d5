package main

import (
	"fmt"
	"time"

	"lastseen/keys"
	"lastseen/keys/people"
)

// tokenCommand prints a user token. It only touches the issuer's key file, never ClickHouse, and so
// works whether or not the service runs.
type tokenCommand struct {
	DataDir string        `default:"lastseen-data" placeholder:"DIR" help:"The service's data directory, where the issuer's key is; made when absent (default ${default})."`
	Org     string        `required:"" placeholder:"ORG" help:"Organisation that the token is for; begins with org_."`
	User    string        `required:"" placeholder:"USER" help:"User that the token is for."`
	Role    string        `required:"" enum:"owner,administrator,admin,operator,driver,member" placeholder:"ROLE" help:"What the user may do: ${enum}."`
	TTL     time.Duration `name:"ttl" default:"1h" placeholder:"DURATION" help:"How long the token is good, such as 90s, 15m or 24h (default ${default})."`
}

// Validate refuses an organisation that could not be one.
func (c *tokenCommand) Validate() error { return checkOrg("--org", c.Org) }

// Run implements the command.
func (c *tokenCommand) Run(std streams) error {
	role, ok := keys.ParseRole(c.Role)
	if !ok {
		return fmt.Errorf("there is no role %q", c.Role)
	}
	issuer, err := openIssuerAloud(c.DataDir, std.err)
	if err != nil {
		return err
	}
	token, err := issuer.Sign(people.User{ID: c.User, OrgID: c.Org, Role: role}, c.TTL)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.out, token)
	return err
}
