package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lastseen/cmd/lastseen/terminal"
	"lastseen/keys/people"
)

// openIssuer opens the local issuer of user tokens, and makes its key when it is absent.
func openIssuer(dataDir string) (*people.Issuer, error) {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	return people.OpenIssuer(dataDir, time.Now)
}

// openIssuerAloud is openIssuer for the commands that sign something beside the service, before its first
// start or in a wrong folder: it says what it had to make.
func openIssuerAloud(dataDir string, log io.Writer) (*people.Issuer, error) {
	_, err := os.Stat(filepath.Join(dataDir, people.IssuerFile))
	absent := errors.Is(err, os.ErrNotExist)
	issuer, err := openIssuer(dataDir)
	if err != nil || !absent {
		return issuer, err
	}
	full, err := filepath.Abs(dataDir)
	if err != nil {
		full = dataDir
	}
	terminal.Say(log, "lastseen: there was no key to sign with, so one was made in %s: a service with another --data-dir will not accept what it signs",
		terminal.Printable(filepath.Join(full, people.IssuerFile)))
	return issuer, nil
}

// checkOrg refuses, as a mistake on the command line, an organisation that could not be one. One that is
// missing is reported as such elsewhere.
func checkOrg(flag, org string) error {
	if org == "" || strings.HasPrefix(org, "org_") && org != "org_" {
		return nil
	}
	return fmt.Errorf("%s=%s must begin with org_, such as org_acme", flag, org)
}
