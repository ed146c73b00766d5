// Package loadgen is an honest load generator for request-answer protocols over TCP.
//
// It is honest in three ways. In an open loop requests are due at fixed times whatever the server
// does, and an answer's latency counts from when its request was due, not from when a connection
// was free to carry it, so a stall shows in every request that it held up (no coordinated
// omission). Every answer is checked by the Source that asked, and a wrong one ends the run. And
// the client is built to cost less than any server that it measures: a worker is one thread with
// its own epoll and many non-blocking connections, requests are encoded beforehand, answers are
// read where they lie, and nothing is allocated per request.
//
// It needs Linux; elsewhere Run returns ErrUnsupported.
package loadgen
