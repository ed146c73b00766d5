package server

import (
	"strings"

	"github.com/valyala/fasthttp"

	"lastseen/query/history/format"
	"lastseen/server/input"
)

// mediaTypes are the formats by the media types that ask for them: those that answers carry, and what
// else clients call them.
var mediaTypes = func() map[string]format.Format {
	types := map[string]format.Format{
		"application/ndjson": format.NDJSON, "application/jsonl": format.NDJSON,
	}
	for _, kind := range format.All() {
		name, _, _ := strings.Cut(kind.ContentType(), ";")
		types[name] = kind
	}
	return types
}()

// formatNames are the words of the parameter format; the first is the default.
func formatNames() []string {
	var names []string
	for _, kind := range format.All() {
		names = append(names, kind.String())
	}
	return names
}

// historyFormat returns the format that a request wants its points in: that of the parameter format, or else
// that of the header Accept.
func historyFormat(p *input.Parameters, header *fasthttp.RequestHeader) format.Format {
	if !p.Present("format") {
		return acceptedFormat(input.Preferences(header.PeekAll(fasthttp.HeaderAccept)))
	}
	name := p.Choice("format", formatNames()...)
	for _, kind := range format.All() {
		if kind.String() == name {
			return kind
		}
	}
	return format.JSON
}

// acceptedFormat returns the format that a client likes best. Of two that it likes equally, the one
// that it names itself wins over one of a range such as */*, and then the one that is earlier in
// format.All. What a client accepts need not name any: then it gets JSON, as it would without the
// header, because clients that take nothing else are more often careless than serious.
func acceptedFormat(accepted []input.Preference) format.Format {
	best, bestWeight, bestDetail := format.JSON, 0, 0
	for _, kind := range format.All() {
		weight, detail := formatWeight(kind, accepted)
		if weight > bestWeight || weight == bestWeight && weight > 0 && detail > bestDetail {
			best, bestWeight, bestDetail = kind, weight, detail
		}
	}
	return best
}

// formatWeight returns how much a client likes a format, by the most detailed element that covers it:
// 3 for its media type, 2 for a range such as text/*, 1 for */*, 0 for none.
func formatWeight(kind format.Format, accepted []input.Preference) (weight, detail int) {
	family, _, _ := strings.Cut(kind.ContentType(), "/")
	for _, p := range accepted {
		named, isNamed := mediaTypes[p.Value]
		covers := 0
		switch {
		case isNamed && named == kind:
			covers = 3
		case p.Value == family+"/*":
			covers = 2
		case p.Value == "*/*":
			covers = 1
		}
		if covers > detail || covers == detail && covers > 0 && p.Weight > weight {
			weight, detail = p.Weight, covers
		}
	}
	return weight, detail
}
