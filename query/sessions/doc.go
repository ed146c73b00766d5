// Package sessions lists, finds and suggests sessions, each as one caller may see it, from memory.
//
// An Index (index.go) holds a fleet (fleet.go) for each organisation: its sessions as rows with their texts in blocks
// (rows.go), and which of others are shared with it. A Reader (sessions.go) answers from it: a request (request.go)
// becomes criteria (criteria.go), a scan (scan.go) holds them against all that the caller may see, and a list (list.go)
// ranks what matches (ranking.go) or a typeahead (typeahead.go) collects values. Texts are compared folded (fold.go), and
// grams (grams.go) say where in large fleets to look for them.
// Cursors (cursor.go) lead from page to page; where the order changes under way, walks (walks.go) remember what was given.
package sessions
