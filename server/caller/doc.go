// Package caller is the edge at which credentials arrive: where they travel in a request, by which address a client
// counts, who is calling, and whether a route is open to that caller. What credentials are and whether they are good is
// decided by package keys; what a caller may see of a route's objects where those are kept.
package caller
