package schematest

import (
	"errors"
	"fmt"

	"lastseen/schema"
)

// InvalidField returns the field that a schema.Invalid is about, and a text that is no field for another
// error or one without a sentence.
func InvalidField(err error) string {
	wrong, is := errors.AsType[*schema.Error](err)
	if !is || wrong.Code != schema.Invalid || wrong.Sentence == "" {
		return fmt.Sprintf("no schema.Invalid but %v", err)
	}
	return wrong.Field
}
