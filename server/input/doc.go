// Package input reads what requests ask: query parameters and fields of JSON bodies to typed values, media types, and the
// preferences of headers such as Accept. Everything that is missing or wrong in one request is named in one answer.
package input
