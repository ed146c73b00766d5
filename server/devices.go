package server

import (
	"github.com/valyala/fasthttp"

	"lastseen/ingest/registry"
)

// registerDevice gives a device to the caller's organisation and answers with its id.
func registerDevice(c *call) error {
	var device registry.NewDevice
	if err := c.readJSON(&device); err != nil {
		return err
	}
	id, err := c.server.services.Registry.RegisterDevice(c.context(), c.principal.OrgID, device)
	if err != nil {
		return err
	}
	return c.json(fasthttp.StatusOK, id.String())
}
