// Package traffic is what the load suite sends and how it judges what comes back: polls, ingest, short and
// whole histories, all of the sessions that a Catalogue holds, each answer checked against what must be in it.
package traffic
