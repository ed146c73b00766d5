package server

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"lastseen/schema"
)

// TestRequestsThatRFC9112DoesNotAllow are refused, though fasthttp takes them: something between the client and us may
// read them differently.
func TestRequestsThatRFC9112DoesNotAllow(t *testing.T) {
	t.Parallel()
	s := start(t)
	text, _ := s.key("org_a", schema.KindAPIKey)
	key := "Authorization: Bearer " + text + "\r\n"
	for name, test := range map[string]struct{ request, want string }{
		"as it should be":                    {"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 "},
		"a smuggled credential":              {"GET " + pathSessionsList + " HTTP/1.1\r\nHost: x\r\nX-A: b\n" + key + "Connection: close\r\n\r\n", "HTTP/1.1 400 "},
		"a request line that ends bare":      {"GET /healthz HTTP/1.1\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 400 "},
		"a poll's that does":                 {"GET " + pathLastSeen + "?session_id=1 HTTP/1.1\nHost: x\r\n" + key + "Connection: close\r\n\r\n", "HTTP/1.1 400 "},
		"an empty line before it":            {"\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 "},
		"a bare LF before it":                {"\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 400 "},
		"a continued header":                 {"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\nConnection: close\r\n\r\n", "HTTP/1.1 400 "},
		"a continued Transfer-Encoding":      {"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\nConnection: close\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 "},
		"a version that does not exist":      {"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n", "HTTP/1.1 505 "},
		"a poll in a version that is no 1.1": {"GET " + pathLastSeen + "?session_id=1 HTTP/1.2\r\nHost: x\r\n" + key + "\r\n", "HTTP/1.1 505 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if answer := raw(t, s.address, test.request); !strings.HasPrefix(answer, test.want) {
				t.Errorf("got %.200s", answer)
			}
		})
	}
}

// TestABareRequestLineIsRefusedHoweverItArrives sends it in parts, behind a request that was answered.
func TestABareRequestLineIsRefusedHoweverItArrives(t *testing.T) {
	t.Parallel()
	s := start(t)
	good := "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	bad := "GET /healthz HTTP/1.1\nHost: x\r\n\r\n"
	for _, request := range []string{good, bad} {
		for at := 1; at < len("GET /healthz HTTP/1.1\r\n")+1; at++ {
			c := dial(t, s.address)
			reader := bufio.NewReader(c)
			for i, part := range []string{good, request[:at], request[at:]} {
				if _, err := io.WriteString(c, part); err != nil {
					t.Fatal(err)
				}
				if i == 1 {
					continue
				}
				response, err := http.ReadResponse(reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, response.Body); err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				if want := map[bool]int{true: http.StatusOK, false: http.StatusBadRequest}[i == 0 || request == good]; response.StatusCode != want {
					t.Errorf("%q cut at %d is answered %d, want %d", request, at, response.StatusCode, want)
				}
			}
			c.Close()
		}
	}
}
