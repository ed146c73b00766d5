//go:build unix

package transport

import (
	"net"
	"testing"
)

func TestAConnectionThatItsClientHasClosedIsDeparted(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := &Conn{Conn: accepted}
	defer accepted.Close()
	if departed(c) {
		t.Error("the client is there and has sent nothing")
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil || departed(c) {
		t.Errorf("the client is there and its byte was read: %v", err)
	}
	client.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil || !departed(c) {
		t.Errorf("the client has closed the connection: %v", err)
	}
}
