package schema

import (
	"errors"
	"fmt"
	"strconv"
)

// Code is the kind of an error, by which callers tell errors apart. It is an error itself, for failures of
// which there is no more to say, and is what errors.Is finds in an Error: errors.Is(err, schema.NotFound).
type Code uint8

// The kinds of errors. All packages below the server use these and no others; the server alone turns them
// into answers.
const (
	// Invalid is about a field or a parameter that cannot be accepted as it is.
	Invalid Code = iota + 1
	// NotFound says that there is no such thing, or none that the caller may see: the two are never told
	// apart.
	NotFound
	// Conflict says that the state of things forbids a request that is right in itself.
	Conflict
	// TooLarge says that a body has more points or more bytes than it may.
	TooLarge
	// Busy says that as much is done or waits as may. Nothing has changed, and the caller may try again soon.
	Busy
	// DiskFull says that ClickHouse's disk is nearly full. Nothing that a reader sees has changed, and the
	// same call may be made again when there is room.
	DiskFull
	// Unavailable says that something that is needed failed or is out of reach, ClickHouse above all. The
	// same call may be made again.
	Unavailable
	// NoCredential is for a text that is no credential.
	NoCredential
	// InvalidCredential is for a key that does not exist or is mistyped, and for a token that is not ours.
	InvalidCredential
	// ExpiredCredential is for one that was good until its time was over.
	ExpiredCredential
	// RevokedCredential is for one that was good until it was revoked.
	RevokedCredential
	codeCount
)

// codeSentences are what errors without a sentence of their own say, mostly in the log.
var codeSentences = [codeCount]string{
	Invalid:           "the request cannot be accepted",
	NotFound:          "there is no such thing",
	Conflict:          "the request is in conflict with the state of things",
	TooLarge:          "the body is too large",
	Busy:              "too much is done at the same time: try again in a moment",
	DiskFull:          "the disk of ClickHouse is nearly full",
	Unavailable:       "the storage is out of reach: try again in a moment",
	NoCredential:      "the credential is neither an API key, a device credential nor a user token",
	InvalidCredential: "the credential is invalid",
	ExpiredCredential: "the credential has expired",
	RevokedCredential: "the credential has been revoked",
}

// Error returns what the code says.
func (c Code) Error() string {
	if c >= codeCount || codeSentences[c] == "" {
		return "error " + strconv.Itoa(int(c))
	}
	return codeSentences[c]
}

// Say returns an Error of the kind with a sentence for the caller.
func (c Code) Say(sentence string) error { return &Error{Code: c, Sentence: sentence} }

// About is Say of a field or parameter, which is empty for the whole of a body, with a sentence that
// fmt.Sprintf makes.
func (c Code) About(field, format string, args ...any) error {
	return &Error{Code: c, Field: field, Sentence: fmt.Sprintf(format, args...)}
}

// Because returns an Error of the kind with a cause, which is for the log.
func (c Code) Because(cause error) error { return &Error{Code: c, Cause: cause} }

// Error is an error that a caller may be told of. Callers compare its Code and never its text.
type Error struct {
	Code     Code
	Field    string // the field or parameter, as it is named on the wire; empty when none is meant
	Sentence string // one sentence for the caller that says what to do; empty when the code says it all
	Existing ID     // the caller's own thing that a Conflict is about, where it is to be named
	Cause    error  // for the log and never for the caller; nil when there is none
}

// Error returns the field, the sentence and the cause, as far as there are any.
func (e *Error) Error() string {
	text := e.Sentence
	if text == "" {
		text = e.Code.Error()
	}
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if e.Cause != nil {
		text += " (" + e.Cause.Error() + ")"
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether the target is the error's code.
func (e *Error) Is(target error) bool {
	code, is := target.(Code)
	return is && code == e.Code
}

// NoSession says that there is no session with an id, or none that the caller may see.
var NoSession = &Error{Code: NotFound, Sentence: "There is no such session that you may see; check the session_id."}

// Failure returns what a caller is told when a statement has failed: DiskFull when the disk was the reason,
// otherwise Unavailable, with the sentence of one that has one.
func Failure(err error) error {
	if said, is := errors.AsType[*Error](err); is && said.Code == Unavailable && said.Sentence != "" {
		return err
	}
	if errors.Is(err, DiskFull) {
		return DiskFull.Because(err)
	}
	return Unavailable.Because(err)
}

// As fills in a *Code, so that errors.As finds the code of whatever error is the outermost.
func (e *Error) As(target any) bool {
	code, wanted := target.(*Code)
	if wanted {
		*code = e.Code
	}
	return wanted
}

// CodeOf returns the code of the outermost Error or Code in an error's chain, and false when there is none.
func CodeOf(err error) (code Code, found bool) {
	found = errors.As(err, &code)
	return code, found
}
