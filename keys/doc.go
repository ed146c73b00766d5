// Package keys decides who is calling: it makes, lists, rotates and revokes API keys and device
// credentials, checks them on every request from a cache that a revocation beats, and verifies the
// tokens of users. It knows no HTTP.
package keys
