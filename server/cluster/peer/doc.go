// Package peer connects the nodes of a service with each other.
//
// All nodes have the same issuer key, and with it the same key and certificate for TLS (Identity): who shows another one is
// refused, and told so. One port serves three protocols, which the TLS handshake tells apart: messages (Peers.Send), each a frame
// of a bounded length; whole HTTP requests, which one node hands to another (Peers.Dial, Peers.Requests); and what a node says of itself to
// operators who ask another one (Peers.Status).
//
// A connection for messages goes one way. It begins with a hello from both sides (hello.go), by which they find out which version
// both speak, or say in a sentence why they do not speak. Who sends makes the connection, keeps it, and makes it anew when it breaks
// (send.go); messages wait for it in a bounded queue, and those for which there is no room, or which waited for a connection that could
// not be made, are dropped and counted: they are not worth more when they are late. What is received is handed on as it comes
// (receive.go).
package peer
