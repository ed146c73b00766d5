package traffic

import (
	"bytes"
	"fmt"
	"net/url"
	"time"

	"lastseen/bench/loadgen"
)

// LastHours asks for the last hour of sessions, up to a second after newest (Unix milliseconds).
func LastHours(c *Catalogue, host string, newest int64) Start {
	return func(d Draws, at int) loadgen.Source {
		return &historyPoller{catalogue: c, draws: d, at: at, host: host, newest: newest}
	}
}

// historyPoller is the source of LastHours.
type historyPoller struct {
	catalogue *Catalogue
	draws     Draws
	at        int
	host      string
	newest    int64 // Unix milliseconds
}

// Prepare implements loadgen.Source.
func (h *historyPoller) Prepare(x *loadgen.Exchange) bool {
	session := int(h.draws[h.at])
	if h.at++; h.at == len(h.draws) {
		h.at = 0
	}
	keys := h.catalogue.Keys[h.catalogue.Orgs[session]]
	x.Subject = session
	x.Request = fmt.Appendf(x.Request[:0], "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n",
		HistoryPath(h.catalogue.ID(session), h.newest+1000-time.Hour.Milliseconds(), h.newest+1000), h.host, keys[h.at%len(keys)])
	return true
}

// HistoryPath is the path and query of a history; start and end are Unix milliseconds.
func HistoryPath(id []byte, start, end int64) string {
	stamp := func(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
	return PathDataPoints + "?" + url.Values{"session_id": {string(id)}, "start_timestamp": {stamp(start)}, "end_timestamp": {stamp(end)}}.Encode()
}

var (
	historyStart = []byte(`{"data_points":[`)
	historyEnd   = []byte(`}`)
)

// Check implements loadgen.Source.
func (h *historyPoller) Check(x *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	if a.Status == 429 || a.Status == 503 {
		return loadgen.Refused, nil
	}
	body := bytes.TrimSpace(a.Body)
	if a.Status != 200 || !bytes.HasPrefix(body, historyStart) || !bytes.HasSuffix(body, historyEnd) {
		return 0, fmt.Errorf("the last hour of session %s got status %d: %.300s", h.catalogue.ID(x.Subject), a.Status, a.Body)
	}
	if _, rest, found := bytes.Cut(body, sessionField); found && !bytes.HasPrefix(rest, h.catalogue.ID(x.Subject)) {
		return 0, fmt.Errorf("the last hour of session %s shows another session: %.300s", h.catalogue.ID(x.Subject), a.Body)
	}
	return loadgen.Served, nil
}
