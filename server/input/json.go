package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"unicode/utf8"

	"lastseen/server/problem"
)

// DecodeJSON reads a JSON object into a struct. What is wrong comes back as a 422.
func DecodeJSON(body []byte, target any) error {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0 || body[0] != '{':
		return problem.Invalid(problem.InBody("", "Send a JSON object."))
	case !utf8.Valid(body):
		return problem.Invalid(problem.InBody("", "Send JSON in UTF-8."))
	}
	err := json.Unmarshal(body, target)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		// The path may begin with the name of an embedded struct.
		return problem.Invalid(problem.InBody(wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:], "Send "+jsonName(wrong.Type)+" here."))
	}
	return problem.Invalid(problem.InBody("", "Send well-formed JSON; this one cannot be read to its end."))
}

// jsonName is what JSON calls the values of a Go type.
func jsonName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	}
	return "a value of another kind"
}
