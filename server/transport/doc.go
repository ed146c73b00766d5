// Package transport is the wall between the service and its connections: the listener with its limits, and of each
// connection the deadlines, the vectored writes of long answers, the look whether its client is still there, the pause
// after a refusal, and the direct way, by which requests in a plain form are answered without a general HTTP server.
//
// It knows bytes and sockets and no route, no credential and no status code. What a connection is in the middle of is
// its own affair; the others see a net.Conn with the few methods of Conn, which may be called on a nil *Conn too, so that
// a request on a connection of another kind needs no case of its own. On the direct way there is always a Conn.
package transport
