// Package registry knows the devices and the sessions: which there are, whose they are, and which session
// a point means. It decides what must be unique.
//
// A Registry (registry.go) is loaded at the start, and tells a Watcher of every session (teller.go). It holds devices and
// sessions in tables that find them by their ids and addresses (table.go, mac.go). People's requests change them
// (devices.go, sessions.go, requests.go, quota.go), points name them (resolve.go, reference.go), and some introduce
// devices that nobody knows yet (introduce.go, names.go).
package registry
