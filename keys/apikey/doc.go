// Package apikey is API keys and device credentials: it makes, lists, rotates and revokes them, and checks
// them on every request from a cache that a revocation beats.
//
//   - The check: authenticator.go over load.go and load_queue.go (what is not in the cache), unknown.go, recent.go and revoked.go
//     (what is known not to be good), format.go (what a key looks like).
//   - Changes: service.go, rotate.go, validate.go, events.go, record.go; channel.go carries them to every cache.
//   - When a part of their table is lost: damage.go.
//   - What was used when: uses.go. Counts: stats.go.
package apikey
