// Package registry knows the devices and the sessions: which there are, whose they are, and which session
// a point means. It decides what must be unique.
package registry
