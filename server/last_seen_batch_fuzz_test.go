package server

import (
	"slices"
	"strings"
	"testing"
)

// FuzzBatchBody: what is read of a body as most clients write it is what is read of any.
func FuzzBatchBody(f *testing.F) {
	const id = "6b09fcea0000120209f02726"
	for _, body := range []string{
		`{"session_ids":["` + id + `"]}`, `{"session_ids": ["` + id + `", "0123456789abcdefABCDEF01"]}`, `{"session_ids":[ "` + id + `"]}`,
		`{"session_ids":["` + id + `" ]}`, `{"session_ids":["` + id + `"]} `, `{"session_ids":["` + id + `",]}`, `{"session_ids":["` + id + `"}`, `{"session_ids":["` + id + `"`,
		`{"session_ids":["` + id + `","x` + id[1:] + `"]}`, `{"session_ids":["` + id + `0"]}`, `{"session_ids":[]}`, `{"session_ids":["` + id + `"],"session_ids":[]}`,
		`{"session_ids":[` + strings.Repeat(`"`+id+`",`, 999) + `"` + id + `"]}`, `{"session_ids":[` + strings.Repeat(`"`+id+`",`, 1000) + `"` + id + `"]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var plain, general batch
		if !plain.readPlain(body) {
			return
		}
		if err := general.readAny(body); err != nil {
			t.Fatalf("%.200q was read, and is otherwise refused: %v", body, err)
		}
		if string(plain.texts) != string(general.texts) || !slices.Equal(plain.ends, general.ends) || !slices.Equal(plain.ids, general.ids) || len(general.strange) > 0 {
			t.Errorf("%.200q was read as %.200q, and otherwise as %.200q", body, plain.texts, general.texts)
		}
	})
}
