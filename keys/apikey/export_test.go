package apikey

import (
	"crypto/sha256"
	"io"
	"time"

	"lastseen/schema"
)

// SetRandom makes a service draw the keys that it creates from a reader.
func SetRandom(s *Service, random io.Reader) { s.random = random }

// FormatKey returns the text of the key with a secret.
func FormatKey(kind schema.KeyKind, secret [32]byte) []byte { return formatKey(kind, secret) }

// CheckName says whether a name is accepted.
func CheckName(name string) error { return checkName(name) }

// CachedKeys returns how many of the records given to ristretto it holds, after it has dealt with all
// that it was given.
func CachedKeys(a *Authenticator) (n int) {
	a.cache.Wait()
	a.cache.IterValues(func(*cachedKey) bool {
		n++
		return false
	})
	return n
}

// Prune drops what the revoked set needs no more, as the background does.
func Prune(a *Authenticator) { a.revoked.prune(a.config.Now().UnixMilli()) }

// CacheInSlotOf puts a record into ristretto where another key's record belongs, as two keys would
// share a slot whose hashes begin alike.
func CacheInSlotOf(a *Authenticator, text []byte, record schema.APIKey) {
	hash := schema.KeyHash(sha256.Sum256(text))
	a.cache.Set(cacheSlot(&hash), newCachedKey(record, &a.uses), 1)
	a.cache.Wait()
}

// RecordOf returns the record of an API key with a text.
func RecordOf(text []byte, orgID string, expiresAt time.Time) schema.APIKey {
	return schema.APIKey{
		Hash: sha256.Sum256(text), ID: schema.NewID(), Kind: schema.KindAPIKey, OrgID: orgID, Name: "test",
		CreatedAt: expiresAt.Add(-time.Hour), ExpiresAt: expiresAt,
	}
}
