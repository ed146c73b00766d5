package scenario

import (
	"encoding/json"
	"fmt"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

// numbering numbers the connections of a source, which must not use Exchange.Subject otherwise.
type numbering struct{ connections int }

// of returns a connection's number, from 0.
func (n *numbering) of(x *loadgen.Exchange) int {
	if x.Subject == 0 {
		n.connections++
		x.Subject = n.connections
	}
	return x.Subject - 1
}

// flood is a source for which every answer is as good as any other.
type flood struct {
	next   func(connection int, b []byte) []byte
	number numbering
}

// Prepare implements loadgen.Source.
func (f *flood) Prepare(x *loadgen.Exchange) bool {
	x.Request = f.next(f.number.of(x), x.Request[:0])
	return true
}

// Check implements loadgen.Source.
func (f *flood) Check(*loadgen.Exchange, *loadgen.Answer) (loadgen.Outcome, error) {
	return loadgen.Served, nil
}

// patience is a source of long polls, each for what its connection has not seen.
type patience struct {
	i      *intrusion
	number numbering
	etags  []string
}

// Prepare implements loadgen.Source.
func (p *patience) Prepare(x *loadgen.Exchange) bool {
	headers := "Prefer: wait=300\r\n"
	if etag := p.etags[p.number.of(x)]; etag != "" {
		headers += "If-None-Match: " + etag + "\r\n"
	}
	session := p.i.sessions[x.Subject%len(p.i.sessions)]
	x.Request = p.i.get(x.Request[:0], fmt.Sprintf("%s?session_id=%s", traffic.PathLastSeen, p.i.on.Catalogue.ID(session)), headers)
	return true
}

// Check implements loadgen.Source.
func (p *patience) Check(x *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	if len(a.ETag) > 0 {
		p.etags[p.number.of(x)] = string(a.ETag)
	}
	return loadgen.Served, nil
}

// churn is a source of keys that are made and revoked, one after the other over each connection.
type churn struct {
	i      *intrusion
	number numbering
	made   []string // the id of the key that a connection has made and is to revoke next; empty where it is to make one
}

// Prepare implements loadgen.Source.
func (c *churn) Prepare(x *loadgen.Exchange) bool {
	api := c.i.on.API
	if id := c.made[c.number.of(x)]; id != "" {
		x.Request = fmt.Appendf(x.Request[:0], "POST %s?api_key_id=%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n",
			rig.PathRevokeKey, id, c.i.on.Host, api.Token(intruder))
		return true
	}
	body := fmt.Sprintf(`{"name":"churn","expires_at_timestamp":%q}`, time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339))
	x.Request = c.i.post(x.Request[:0], rig.PathCreateKey, body)
	return true
}

// Check implements loadgen.Source. A refusal is no failure of the attack, which tries the same again.
func (c *churn) Check(x *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	made := &c.made[c.number.of(x)]
	switch {
	case a.Status/100 != 2:
	case *made != "":
		*made = ""
	default:
		var key rig.Secret
		if err := json.Unmarshal(a.Body, &key); err != nil {
			return 0, fmt.Errorf("the answer to the creation of a key is not JSON: %w", err)
		}
		*made = key.ID
	}
	return loadgen.Served, nil
}
