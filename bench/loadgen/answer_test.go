package loadgen

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestHTTPAnswersAreRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		want       Answer
		err        string
	}{
		{name: "with a length", text: "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: \"a\"\r\n\r\nbody", want: Answer{Status: 200, Body: []byte("body"), ETag: []byte(`"a"`)}},
		{name: "in whatever case", text: "HTTP/1.1 200 OK\r\ncontent-LENGTH:4\r\n\r\nbody", want: Answer{Status: 200, Body: []byte("body")}},
		{name: "without a body", text: "HTTP/1.1 304 Not Modified\r\nETag: W/\"x\"\r\n\r\n", want: Answer{Status: 304, ETag: []byte(`W/"x"`)}},
		{name: "in chunks", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n3;x=y\r\n and\r\nA\r\n more of it\r\n0\r\nX: y\r\n\r\n",
			err: "does not end where its size says"},
		{name: "in good chunks", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n4;x=y\r\n and\r\nB\r\n more of it\r\n0\r\nX: y\r\n\r\n",
			want: Answer{Status: 200, Body: []byte("body and more of it")}},
		{name: "refusing", text: "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", want: Answer{Status: 503, RetryAfter: true, closes: true, Body: []byte{}}},
		{name: "after a wait", text: "HTTP/1.1 200 OK\r\nPreference-Applied: wait=30\r\nContent-Length: 0\r\n\r\n", want: Answer{Status: 200, WaitApplied: true, Body: []byte{}}},
		{name: "of unknown length", text: "HTTP/1.1 200 OK\r\n\r\n", err: "neither Content-Length nor chunks"},
		{name: "of another protocol", text: "SSH-2.0-OpenSSH\r\n\r\n", err: "not HTTP/1"},
		{name: "with a bad length", text: "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n", err: "Content-Length"},
		{name: "with a bad chunk", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", err: "chunk's size"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			checkDecode(t, HTTP{}, test.text, test.want, test.err)
		})
	}
}

func TestRedisAnswersAreRead(t *testing.T) {
	t.Parallel()
	checkDecode(t, RESP{}, "$4\r\nbo\r\n\r\n", Answer{Status: 200, Body: []byte("bo\r\n")}, "")
	checkDecode(t, RESP{}, "$-1\r\n", Answer{Status: 404}, "")
	checkDecode(t, RESP{}, "*2\r\n$1\r\na\r\n$-1\r\n", Answer{Status: 200, Body: []byte("*2\r\n$1\r\na\r\n$-1\r\n")}, "")
	checkDecode(t, RESP{}, "*1\r\n:1\r\n", Answer{}, "no bulk string")
	checkDecode(t, RESP{}, "-ERR unknown command\r\n", Answer{}, "ERR unknown command")
	checkDecode(t, RESP{}, "$x\r\n", Answer{}, "length")
}

// checkDecode reads an answer that arrives byte by byte: only when it is whole it is there, and what
// follows it is left alone.
func checkDecode(t *testing.T, codec Codec, text string, want Answer, wantErr string) {
	t.Helper()
	var got Answer
	for i := range len(text) {
		taken, err := codec.Decode([]byte(text[:i]), &got)
		if err != nil {
			if wantErr == "" || !strings.Contains(err.Error(), wantErr) {
				t.Fatalf("after %d bytes: %v, want %q", i, err, wantErr)
			}
			return
		}
		if taken != 0 {
			t.Fatalf("an answer was read from the first %d of %d bytes", i, len(text))
		}
	}
	taken, err := codec.Decode([]byte(text+"next"), &got)
	if wantErr != "" {
		if err == nil || !strings.Contains(err.Error(), wantErr) {
			t.Fatalf("the error is %v, want %q", err, wantErr)
		}
		return
	}
	if err != nil || taken != len(text) {
		t.Fatalf("took %d of %d bytes: %v", taken, len(text), err)
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
}

// FuzzDecode checks that whatever is read as an answer is read the same when more bytes follow, and
// that a body is a part of the input or was joined from chunks of it.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"))
	f.Add([]byte("$4\r\nbody\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, codec := range []Codec{HTTP{}, RESP{}} {
			var alone, followed Answer
			taken, err := codec.Decode(bytes.Clone(b), &alone)
			if err != nil || taken == 0 {
				continue
			}
			if taken > len(b) || len(alone.Body) > taken {
				t.Fatalf("took %d bytes, with a body of %d, out of %d", taken, len(alone.Body), len(b))
			}
			again, err := codec.Decode(append(bytes.Clone(b), "HTTP/1.1 "...), &followed)
			if err != nil || again != taken || !bytes.Equal(alone.Body, followed.Body) || alone.Status != followed.Status {
				t.Fatalf("alone: %d bytes, %+v; followed: %d bytes, %+v, %v", taken, alone, again, followed, err)
			}
		}
	})
}
