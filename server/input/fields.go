package input

import (
	"errors"
	"time"

	"lastseen/schema"
	"lastseen/server/problem"
)

// Fields checks the fields of a JSON body and collects everything that is missing or wrong, as
// Parameters does for the query.
type Fields struct{ errors []problem.FieldError }

// Reject notes that a field is wrong.
func (f *Fields) Reject(name, msg string) {
	f.errors = append(f.errors, problem.InBody(name, msg))
}

// Note notes what an error says of a field; nil says nothing.
func (f *Fields) Note(err error) {
	if e, says := errors.AsType[*schema.Error](err); says {
		f.Reject(e.Field, e.Sentence)
	}
}

// Problem returns the 422 that names every bad field, or nil when all are good.
func (f *Fields) Problem() error {
	if len(f.errors) == 0 {
		return nil
	}
	return problem.Invalid(f.errors...)
}

const required = "This field is required."

// MissingField is the 422 for a single field that is not there.
func MissingField(name string) error { return problem.Invalid(problem.InBody(name, required)) }

// Text returns a text that must be there.
func (f *Fields) Text(name string, value *string) string {
	if value == nil {
		f.Reject(name, required)
		return ""
	}
	return *value
}

// Integer returns a whole number within a range that must be there.
func (f *Fields) Integer(name string, value *int, within Range) int {
	switch {
	case value == nil:
		f.Reject(name, required)
		return 0
	case !within.holds(*value):
		f.Reject(name, "Send a whole number "+within.String()+".")
	}
	return *value
}

// Timestamp returns an instant, and the zero time when it is not there.
func (f *Fields) Timestamp(name string, value *string, needed bool) time.Time {
	if value == nil {
		if needed {
			f.Reject(name, required+" "+timestampExample)
		}
		return time.Time{}
	}
	instant, ok := ParseTimestamp(*value)
	if !ok {
		f.Reject(name, timestampAdvice(*value))
	}
	return instant
}

// ID returns an object's id. The zero one is refused: it is no object's, and to the packages below it
// means that none was named.
func (f *Fields) ID(name, value string) schema.ID {
	id, ok := schema.ParseID(value)
	if !ok || id == (schema.ID{}) {
		f.Reject(name, "Send an id of 24 hexadecimal digits.")
	}
	return id
}
