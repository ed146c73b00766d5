package terminal

import (
	"log/slog"
	"slices"
)

// request makes a line of the access log's record, whose message is "request", and returns the fields
// that it does not show.
func (h *handler) request(message string, fields []slog.Attr) (words []string, rest []slog.Attr, ok bool) {
	isStatus := func(f slog.Attr) bool { return f.Key == "status" && f.Value.Kind() == slog.KindInt64 }
	if message != "request" || !slices.ContainsFunc(fields, isStatus) {
		return nil, nil, false
	}
	take := func(key string) (slog.Value, bool) {
		at := slices.IndexFunc(fields, func(f slog.Attr) bool { return f.Key == key })
		if at < 0 {
			return slog.Value{}, false
		}
		value := fields[at].Value
		fields = slices.Delete(fields, at, at+1)
		return value, true
	}
	status, _ := take("status")
	words = append(words, h.paint(statusColour(status.Int64()), status.String()))
	if status.Int64() < 400 {
		take("request_id") // nobody will ask about it
	}
	for _, key := range []string{"method", "path"} {
		if value, ok := take(key); ok {
			words = append(words, Printable(value.String()))
		}
	}
	if value, ok := take("duration"); ok {
		words = append(words, text(value))
	}
	if value, ok := take("bytes"); ok && value.Kind() == slog.KindInt64 {
		words = append(words, size(value.Int64()))
	}
	return words, fields, true
}

func statusColour(status int64) string {
	switch {
	case status >= 500:
		return red
	case status >= 400:
		return yellow
	case status >= 300:
		return cyan
	}
	return green
}
