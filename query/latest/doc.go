// Package latest holds the newest data point of every session in memory, with who may see it: look-ups,
// watches of changes, followers of all changes that an organisation sees, the checkpoint in ClickHouse and the loading of
// it at a start.
package latest
