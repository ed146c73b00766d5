package terminal

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// NewLogger returns a logger that writes lines for people on a Screen, and JSON for everything else.
func NewLogger(w io.Writer, level slog.Level) *slog.Logger {
	if s, ok := w.(*Screen); ok {
		return slog.New(&handler{screen: s, level: level})
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

// handler writes each record as one line. It is safe for concurrent use.
type handler struct {
	screen *Screen
	level  slog.Level
	prefix string      // of the keys of the attributes that come
	fields []slog.Attr // with their whole keys
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.fields = flatten(slices.Clone(h.fields), h.prefix, attrs)
	return &with
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	with := *h
	if name != "" {
		with.prefix += name + "."
	}
	return &with
}

// Handle implements slog.Handler.
func (h *handler) Handle(_ context.Context, record slog.Record) error {
	attrs := make([]slog.Attr, 0, record.NumAttrs())
	record.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	fields := flatten(slices.Clone(h.fields), h.prefix, attrs)
	words := []string{h.paint(faint, record.Time.Format(time.TimeOnly))}
	if request, rest, ok := h.request(record.Message, fields); ok {
		words, fields = append(words, request...), rest
	} else {
		words = append(words, h.name(record.Level)...)
		words = append(words, Printable(record.Message))
	}
	for _, f := range fields {
		words = append(words, h.paint(faint, Printable(f.Key)+"=")+quoted(text(f.Value)))
	}
	return h.screen.line(strings.Join(words, " "))
}

// flatten appends attributes, those of groups each by itself.
func flatten(fields []slog.Attr, prefix string, attrs []slog.Attr) []slog.Attr {
	for _, a := range attrs {
		value := a.Value.Resolve()
		switch {
		case value.Kind() == slog.KindGroup && a.Key == "":
			fields = flatten(fields, prefix, value.Group())
		case value.Kind() == slog.KindGroup:
			fields = flatten(fields, prefix+a.Key+".", value.Group())
		case a.Key != "":
			fields = append(fields, slog.Attr{Key: prefix + a.Key, Value: value})
		}
	}
	return fields
}

// name is what a level is called, where that is worth a word.
func (h *handler) name(level slog.Level) []string {
	switch {
	case level >= slog.LevelError:
		return []string{h.paint(red, level.String())}
	case level >= slog.LevelWarn:
		return []string{h.paint(yellow, level.String())}
	case level < slog.LevelInfo:
		return []string{h.paint(faint, level.String())}
	}
	return nil
}

// The colours of SGR, the terminals' Select Graphic Rendition.
const (
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (h *handler) paint(colour, text string) string {
	if h.screen.plain {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// text is a value as people write it.
func text(value slog.Value) string {
	switch value.Kind() {
	case slog.KindDuration:
		return duration(value.Duration())
	case slog.KindTime:
		return value.Time().Format(time.RFC3339)
	}
	return value.String()
}

// duration rounds to what can be taken in at a glance.
func duration(d time.Duration) string {
	switch {
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		d = d.Round(100 * time.Microsecond)
	default:
		d = d.Round(time.Microsecond)
	}
	return d.String()
}

// quoted quotes a value that would not be seen to be one.
func quoted(value string) string {
	odd := func(r rune) bool { return r == ' ' || r == '"' || r == '=' || !unicode.IsPrint(r) }
	if value == "" || strings.IndexFunc(value, odd) >= 0 {
		return strconv.Quote(value)
	}
	return Printable(value)
}

// size is a number of bytes.
func size(n int64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
