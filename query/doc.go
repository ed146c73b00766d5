// Package query is the read side of lastseen: the newest data point of every session, answered from
// memory and kept fresh by the writer ([LastSeen]); the history of a session with its stationary
// clusters, streamed ([History]); and the lists of sessions ([Sessions]). It checks who may see what
// and knows nothing of HTTP.
package query
