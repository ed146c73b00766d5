// Package keys decides who is calling: it makes, lists, rotates and revokes API keys and device
// credentials, checks them on every request from a cache that a revocation beats, verifies the tokens
// of users, those of the local issuer and those of an identity provider, and signs browsers in and out.
// It serves no HTTP.
package keys
