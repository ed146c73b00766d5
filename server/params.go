package server

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// parameters reads a request's query parameters into typed values and collects everything that is
// missing or wrong, so that one answer names it all. As in the reference service, the last of
// repeated parameters counts and unknown names are ignored. It copies what it returns.
type parameters struct {
	args   *fasthttp.Args
	errors []fieldError
}

// problem returns the 422 that names every bad parameter, or nil when all are good.
func (p *parameters) problem() error {
	if len(p.errors) == 0 {
		return nil
	}
	return invalid(p.errors...)
}

// reject notes that a parameter is wrong.
func (p *parameters) reject(name, msg string) {
	p.errors = append(p.errors, fieldError{loc: []string{"query", name}, msg: msg})
}

// lastArg returns the last value of a parameter, which lives as long as the request.
func lastArg(args *fasthttp.Args, name string) (value []byte, present bool) {
	for key, v := range args.All() {
		if string(key) == name {
			value, present = v, true
		}
	}
	return value, present
}

// optional returns a parameter's text, and false when it is not there.
func (p *parameters) optional(name string) (string, bool) {
	value, present := lastArg(p.args, name)
	if !utf8.Valid(value) {
		p.reject(name, "Use UTF-8, percent-encoded.")
		return "", false
	}
	return string(value), present
}

// required returns the text of a parameter that must be there and not be empty.
func (p *parameters) required(name string) string {
	value, _ := p.optional(name)
	if value == "" {
		p.reject(name, "This parameter is required.")
	}
	return value
}

// text returns a parameter's text, and an empty one when it is not there.
func (p *parameters) text(name string) string {
	value, _ := p.optional(name)
	return value
}

// textOrNothing returns a parameter's text, and nil when it is not there.
func (p *parameters) textOrNothing(name string) *string {
	value, present := p.optional(name)
	if !present {
		return nil
	}
	return &value
}

// choice returns a parameter that must be one of a few words; the first is the default.
func (p *parameters) choice(name string, words ...string) string {
	value, present := p.optional(name)
	if !present {
		return words[0]
	}
	for _, word := range words {
		if value == word {
			return word
		}
	}
	p.reject(name, "Use one of "+strings.Join(words, ", ")+".")
	return words[0]
}

// boolean returns a truth value, and nil when it is not there.
func (p *parameters) boolean(name string) *bool {
	value, present := p.optional(name)
	if !present {
		return nil
	}
	truth, ok := parseBoolean(value)
	if !ok {
		p.reject(name, "Use true or false.")
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

// integer returns a whole number between least and most, and fallback when it is not there.
func (p *parameters) integer(name string, fallback, least, most int) int {
	value, present := p.optional(name)
	if !present {
		return fallback
	}
	number, ok := parseInteger(value)
	if !ok || number < least || number > most {
		p.reject(name, "Use a whole number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most)+".")
		return fallback
	}
	return number
}

// parseInteger reads decimal digits with an optional sign and nothing else.
func parseInteger(text string) (int, bool) {
	number, err := strconv.Atoi(text)
	return number, err == nil
}

// number returns a decimal number, and fallback when it is not there.
func (p *parameters) number(name string, fallback float64) float64 {
	value, present := p.optional(name)
	if !present {
		return fallback
	}
	number, ok := parseNumber(value)
	if !ok {
		p.reject(name, "Use a number such as 100 or 2.5.")
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

const timestampAdvice = "Use an RFC 3339 timestamp such as 2026-01-15T09:30:00Z, between the years 1970 and 2200."

// timestamp returns an instant in UTC, and nil when it is not there.
func (p *parameters) timestamp(name string) *time.Time {
	value, present := p.optional(name)
	if !present {
		return nil
	}
	instant, ok := parseTimestamp(value)
	if !ok {
		p.reject(name, timestampAdvice)
	}
	return &instant
}

// requiredTimestamp returns an instant in UTC that must be there.
func (p *parameters) requiredTimestamp(name string) time.Time {
	value, _ := p.optional(name)
	if value == "" {
		p.reject(name, "This parameter is required. "+timestampAdvice)
		return time.Time{}
	}
	instant, ok := parseTimestamp(value)
	if !ok {
		p.reject(name, timestampAdvice)
	}
	return instant
}
