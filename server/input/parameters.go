package input

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"lastseen/server/problem"
)

// Parameters reads a request's query parameters into typed values and collects everything that is
// missing or wrong, so that one answer names it all. As in the reference service, the last of
// repeated parameters counts and unknown names are ignored. It copies what it returns.
type Parameters struct {
	args   *fasthttp.Args
	errors []problem.FieldError
}

// Of returns the parameters of a request.
func Of(ctx *fasthttp.RequestCtx) *Parameters { return &Parameters{args: ctx.QueryArgs()} }

// Present reports whether a parameter is there.
func (p *Parameters) Present(name string) bool {
	_, present := LastArg(p.args, name)
	return present
}

// Good reports whether none has been found missing or wrong so far.
func (p *Parameters) Good() bool { return len(p.errors) == 0 }

// Problem returns the 422 that names every bad parameter, or nil when all are good.
func (p *Parameters) Problem() error {
	if len(p.errors) == 0 {
		return nil
	}
	return problem.Invalid(p.errors...)
}

// Reject notes that a parameter is wrong.
func (p *Parameters) Reject(name, msg string) {
	p.errors = append(p.errors, problem.InQuery(name, msg))
}

// LastArg returns the last value of a parameter, which lives as long as the request.
func LastArg(args *fasthttp.Args, name string) (value []byte, present bool) {
	for key, v := range args.All() {
		if string(key) == name {
			value, present = v, true
		}
	}
	return value, present
}

// Optional returns a parameter's text, and false when it is not there.
func (p *Parameters) Optional(name string) (string, bool) {
	value, present := LastArg(p.args, name)
	if !utf8.Valid(value) {
		p.Reject(name, "Use UTF-8, percent-encoded.")
		return "", false
	}
	return string(value), present
}

// Required returns the text of a parameter that must be there and not be empty.
func (p *Parameters) Required(name string) string {
	value, _ := p.Optional(name)
	if value == "" {
		p.Reject(name, "This parameter is required.")
	}
	return value
}

// Text returns a parameter's text, and an empty one when it is not there.
func (p *Parameters) Text(name string) string {
	value, _ := p.Optional(name)
	return value
}

// TextOrNothing returns a parameter's text, and nil when it is not there.
func (p *Parameters) TextOrNothing(name string) *string {
	value, present := p.Optional(name)
	if !present {
		return nil
	}
	return &value
}

// Choice returns a parameter that must be one of a few words; the first is the default.
func (p *Parameters) Choice(name string, words ...string) string {
	value, present := p.Optional(name)
	if !present {
		return words[0]
	}
	for _, word := range words {
		if value == word {
			return word
		}
	}
	p.Reject(name, "Use one of "+strings.Join(words, ", ")+".")
	return words[0]
}

// Boolean returns a truth value, and nil when it is not there.
func (p *Parameters) Boolean(name string) *bool {
	value, present := p.Optional(name)
	if !present {
		return nil
	}
	truth, ok := parseBoolean(value)
	if !ok {
		p.Reject(name, "Use true or false.")
	}
	return &truth
}

// parseBoolean reads the words for true and false that the reference service accepts, in any case.
func parseBoolean(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "true", "1", "yes", "on", "t", "y":
		return true, true
	case "false", "0", "no", "off", "f", "n":
		return false, true
	}
	return false, false
}

// Integer returns a whole number within a range, and fallback when it is not there.
func (p *Parameters) Integer(name string, fallback int, within Range) int {
	value, present := p.Optional(name)
	if !present {
		return fallback
	}
	number, ok := parseInteger(value)
	if !ok || !within.holds(number) {
		p.Reject(name, "Use a whole number "+within.String()+".")
		return fallback
	}
	return number
}

// parseInteger reads decimal digits with an optional sign and nothing else.
func parseInteger(text string) (int, bool) {
	number, err := strconv.Atoi(text)
	return number, err == nil
}

// Number returns a decimal number, and fallback when it is not there.
func (p *Parameters) Number(name string, fallback float64) float64 {
	value, present := p.Optional(name)
	if !present {
		return fallback
	}
	number, ok := parseNumber(value)
	if !ok {
		p.Reject(name, "Use a number such as 100 or 2.5.")
		return fallback
	}
	return number
}

// parseNumber reads a finite decimal number, with an exponent if need be, and no other notation.
func parseNumber(text string) (float64, bool) {
	if strings.Trim(text, "0123456789.eE+-") != "" {
		return 0, false
	}
	number, err := strconv.ParseFloat(text, 64)
	return number, err == nil
}

const timestampExample = "Use a timestamp such as 2026-01-15T09:30:00Z."

// Timestamp returns an instant in UTC, and nil when it is not there.
func (p *Parameters) Timestamp(name string) *time.Time {
	value, present := p.Optional(name)
	if !present {
		return nil
	}
	instant, ok := ParseTimestamp(value)
	if !ok {
		p.Reject(name, timestampAdvice(value))
	}
	return &instant
}

// RequiredTimestamp returns an instant in UTC that must be there.
func (p *Parameters) RequiredTimestamp(name string) time.Time {
	value, _ := p.Optional(name)
	if value == "" {
		p.Reject(name, "This parameter is required. "+timestampExample)
		return time.Time{}
	}
	instant, ok := ParseTimestamp(value)
	if !ok {
		p.Reject(name, timestampAdvice(value))
	}
	return instant
}
