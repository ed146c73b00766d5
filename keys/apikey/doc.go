// package apikey is API keys and device credentials: it makes, lists, rotates and revokes them, and checks
// them on every request from a cache that a revocation beats.
package apikey
