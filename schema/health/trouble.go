package health

import (
	"context"
	"errors"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Trouble is what keeps ClickHouse from serving. It is an error for the log.
type Trouble struct {
	Sentence string // for everybody: what is wrong and what is still served
	Cause    error  // for the log
}

// Error returns the sentence and the cause.
func (t *Trouble) Error() string { return t.Sentence + " (" + t.Cause.Error() + ")" }

// Unwrap returns the cause.
func (t *Trouble) Unwrap() error { return t.Cause }

// The sentences of Trouble.
const (
	outOfReach   = "ClickHouse is out of reach; try again in a moment."
	wrongUser    = "ClickHouse does not accept the user or the password; an operator must mend it."
	noRight      = "The ClickHouse user lacks a right; an operator must grant it."
	readOnly     = "ClickHouse is read-only; an operator must make it writable."
	tooManyParts = "ClickHouse does not keep up with merges and takes no points; try again in a while."
	outOfMemory  = "ClickHouse is out of memory; try again in a moment."
	diskFull     = "The disk of ClickHouse is nearly full and takes no points; an operator must make room."
	hostGone     = "A host of the ClickHouse cluster is out of reach; try again in a moment."
	refused      = "ClickHouse refuses statements that the service needs; an operator must look at its log."
)

// sentences are what ClickHouse's codes mean.
var sentences = map[int32]string{
	192: wrongUser, 193: wrongUser, 194: wrongUser, 516: wrongUser,
	497: noRight,
	164: readOnly, 242: readOnly,
	252: tooManyParts,
	241: outOfMemory,
	243: diskFull,
	198: hostGone, 209: hostGone, 210: hostGone, 279: hostGone, 519: hostGone,
}

// troubleOf returns the trouble that a failed attempt shows.
func troubleOf(err error) *Trouble {
	exception, is := errors.AsType[*clickhouse.Exception](err)
	if !is {
		return &Trouble{Sentence: outOfReach, Cause: err}
	}
	sentence, known := sentences[exception.Code]
	if !known {
		sentence = refused
	}
	return &Trouble{Sentence: sentence, Cause: err}
}

// inconclusive reports whether an attempt has failed without showing anything: it has only taken long, or
// found no free connection.
func inconclusive(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, clickhouse.ErrAcquireConnTimeout)
}
