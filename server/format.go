package server

import (
	"strings"

	"github.com/valyala/fasthttp"

	"lastseen/query"
	"lastseen/server/input"
)

// mediaTypes are the formats by the media types that ask for them: those that answers carry, and what
// else clients call them.
var mediaTypes = func() map[string]query.Format {
	types := map[string]query.Format{
		"application/ndjson": query.FormatNDJSON, "application/jsonl": query.FormatNDJSON,
	}
	for _, format := range query.Formats() {
		name, _, _ := strings.Cut(format.ContentType(), ";")
		types[name] = format
	}
	return types
}()

// formatNames are the words of the parameter format; the first is the default.
func formatNames() []string {
	var names []string
	for _, format := range query.Formats() {
		names = append(names, format.String())
	}
	return names
}

// format returns the format that a request wants its points in: that of the parameter format, or else
// that of the header Accept.
func historyFormat(p *input.Parameters, header *fasthttp.RequestHeader) query.Format {
	if !p.Present("format") {
		return acceptedFormat(input.Preferences(header.PeekAll(fasthttp.HeaderAccept)))
	}
	name := p.Choice("format", formatNames()...)
	for _, format := range query.Formats() {
		if format.String() == name {
			return format
		}
	}
	return query.FormatJSON
}

// acceptedFormat returns the format that a client likes best. Of two that it likes equally, the one
// that it names itself wins over one of a range such as */*, and then the one that is earlier in
// query.Formats. What a client accepts need not name any: then it gets JSON, as it would without the
// header, because clients that take nothing else are more often careless than serious.
func acceptedFormat(accepted []input.Preference) query.Format {
	best, bestWeight, bestDetail := query.FormatJSON, 0, 0
	for _, format := range query.Formats() {
		weight, detail := formatWeight(format, accepted)
		if weight > bestWeight || weight == bestWeight && weight > 0 && detail > bestDetail {
			best, bestWeight, bestDetail = format, weight, detail
		}
	}
	return best
}

// formatWeight returns how much a client likes a format, by the most detailed element that covers it:
// 3 for its media type, 2 for a range such as text/*, 1 for */*, 0 for none.
func formatWeight(format query.Format, accepted []input.Preference) (weight, detail int) {
	kind, _, _ := strings.Cut(format.ContentType(), "/")
	for _, p := range accepted {
		named, isNamed := mediaTypes[p.Value]
		covers := 0
		switch {
		case isNamed && named == format:
			covers = 3
		case p.Value == kind+"/*":
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
