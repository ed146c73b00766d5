package main

import (
	"context"

	"lastseen.example/client"
)

// credentialsCommand speaks to the routes of device credentials.
type credentialsCommand struct {
	Create createCredentialCommand `cmd:"" help:"Make a device credential. Only the credential goes to standard output, its record to standard error."`
	List   listCredentialsCommand  `cmd:"" help:"List the organisation's device credentials, newest first."`
	Rotate rotateCredentialCommand `cmd:"" help:"Replace a device credential by a new one; the old one is good until the grace ends. Only the credential goes to standard output."`
	Revoke revokeCredentialCommand `cmd:"" help:"Revoke a device credential: when this returns, it is refused."`
}

type createCredentialCommand struct {
	newKeyFlags
	DeviceID         string `xor:"devices" placeholder:"ID" help:"The id of the one device that the credential may write for; any of the organisation's when left out."`
	RegistersDevices bool   `xor:"devices" help:"Whether apps with the credential bring devices that nobody knows yet: the first position of one registers it and begins its session."`
}

// Run implements the command.
func (c *createCredentialCommand) Run(ctx context.Context, std streams) error {
	return c.create(ctx, std, deviceCredentials, client.NewKey{DeviceID: c.DeviceID, RegistersDevices: c.RegistersDevices})
}

type listCredentialsCommand struct{ listKeysCommand }

// Run implements the command.
func (c *listCredentialsCommand) Run(ctx context.Context, std streams) error {
	return c.list(ctx, std, deviceCredentials)
}

type rotateCredentialCommand struct{ rotateKeyCommand }

// Run implements the command.
func (c *rotateCredentialCommand) Run(ctx context.Context, std streams) error {
	return c.rotate(ctx, std, deviceCredentials)
}

type revokeCredentialCommand struct{ revokeKeyCommand }

// Run implements the command.
func (c *revokeCredentialCommand) Run(ctx context.Context, std streams) error {
	return c.revoke(ctx, std, deviceCredentials)
}
