// Package people is about callers who are people: the local issuer of user tokens, sign-in links, and the
// sessions of browsers.
package people
