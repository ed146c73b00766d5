package main

import "lastseen/cmd/lastseen/licenses"

// licensesCommand prints the notices that licences ask for.
type licensesCommand struct{}

// Run implements the command.
func (c *licensesCommand) Run(std streams) error {
	return licenses.Write(std.out)
}
