package server

import (
	"strconv"
	"time"

	"lastseen/schema"
)

// fields checks the fields of a JSON body and collects everything that is missing or wrong, as
// parameters does for the query.
type fields struct{ errors []fieldError }

func (f *fields) reject(name, msg string) {
	f.errors = append(f.errors, bodyField(name, msg))
}

// problem returns the 422 that names every bad field, or nil when all are good.
func (f *fields) problem() error {
	if len(f.errors) == 0 {
		return nil
	}
	return invalid(f.errors...)
}

// Where a request's fields are.
const (
	inBody  = "body"
	inQuery = "query"
)

// fieldIn is an error about a field of the body or the query, or about the whole of it when name is empty.
func fieldIn(place, name, msg string) fieldError {
	if name == "" {
		return fieldError{loc: []string{place}, msg: msg}
	}
	return fieldError{loc: []string{place, name}, msg: msg}
}

// bodyField is fieldIn of the body.
func bodyField(name, msg string) fieldError { return fieldIn(inBody, name, msg) }

const required = "This field is required."

// missingField is the 422 for a single field that is not there.
func missingField(name string) error { return invalid(bodyField(name, required)) }

// text returns a text that must be there.
func (f *fields) text(name string, value *string) string {
	if value == nil {
		f.reject(name, required)
		return ""
	}
	return *value
}

// integer returns a whole number between least and most that must be there.
func (f *fields) integer(name string, value *int, least, most int) int {
	switch {
	case value == nil:
		f.reject(name, required)
		return 0
	case *value < least || *value > most:
		f.reject(name, "Send a whole number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most)+".")
	}
	return *value
}

// timestamp returns an instant, and the zero time when it is not there.
func (f *fields) timestamp(name string, value *string, needed bool) time.Time {
	if value == nil {
		if needed {
			f.reject(name, required+" "+timestampAdvice)
		}
		return time.Time{}
	}
	instant, ok := parseTimestamp(*value)
	if !ok {
		f.reject(name, timestampAdvice)
	}
	return instant
}

// id returns an object's id. The zero one is refused: it is no object's, and to the packages below it
// means that none was named.
func (f *fields) id(name, value string) schema.ID {
	id, ok := schema.ParseID(value)
	if !ok || id == (schema.ID{}) {
		f.reject(name, "Send an id of 24 hexadecimal digits.")
	}
	return id
}
