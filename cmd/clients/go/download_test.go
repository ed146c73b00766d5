package client

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

func TestADownloadStartsOverUntilAWholeAnswerHasCome(t *testing.T) {
	t.Parallel()
	cut := func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half of it")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c, waits, _ := serve(t, answer(503, "", "Retry-After", "3"), cut, answer(200, "all of it", "Next-Cursor", "next"))
	var got bytes.Buffer
	answer, err := c.Download(t.Context(), "/x", nil, func() (io.Writer, error) {
		got.Reset()
		return &got, nil
	})
	if err != nil || answer.Next != "next" || got.String() != "all of it" || len(*waits) != 2 {
		t.Errorf("got %q, next %q, %d waits, error %v", got.String(), answer.Next, len(*waits), err)
	}
}
