// Package registry knows the devices and the sessions: which there are, whose they are, and which session
// a point means. It decides what must be unique: registry.go holds what is known and loads it (table.go is how), devices.go and
// sessions.go decide, quota.go bounds, introduce.go is for apps that name devices themselves, and shared.go has what several
// nodes share of it. mac.go, names.go and reference.go are what devices are called, requests.go what callers ask for.
package registry
