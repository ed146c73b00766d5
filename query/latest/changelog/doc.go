// Package changelog keeps the order in which the sessions of one viewer have changed: a Log. What changes moves to its
// end at a cost that does not depend on how many sessions there are, whoever reads from a place on gets each session
// that has changed since once, at a cost that follows their number alone, and what has left is remembered for a while.
package changelog
