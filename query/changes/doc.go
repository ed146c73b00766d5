// Package changes answers what has changed of all sessions that an organisation sees, from memory: in pages of JSON with a
// cursor, and as server-sent events.
package changes
