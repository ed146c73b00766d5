package oidc

import (
	"encoding/json"

	"lastseen/keys/people"
)

// AwaitProviderKeys returns when no attempt to read a provider's keys is under way.
func AwaitProviderKeys(p *Provider) {
	p.keys.mu.Lock()
	reading := p.keys.reading
	p.keys.mu.Unlock()
	if reading != nil {
		<-reading
	}
}

// PersonOf reads a person from claims.
func PersonOf(names ClaimNames, claims []byte) (people.Person, error) {
	names.setDefaults()
	return names.person(claims)
}

// ParseProviderKeys returns the keys of a key set as it writes them itself.
func ParseProviderKeys(body []byte) (texts [][]byte, err error) {
	keys, err := parseKeys(body)
	for _, key := range keys {
		text, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, err
}
