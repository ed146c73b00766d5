// Package stream sends answers that are made while they are sent. The loop that writes to the socket (Answer.WriteTo)
// asks the source for the next piece when the last one has been accepted, so neither a queue nor a goroutine that somebody
// must wait for is between them; and it itself sees that a client is slow to read, and then suspends the source.
package stream
