package airflow

import (
	"strings"

	"github.com/leoflow/secrets-csi/internal/jsontext"
)

const (
	brokenReason    = "begins as JSON and is none; correct it"
	surrogateReason = "holds half of a surrogate pair, which is no character; Airflow stores none, and \"isn't defined\" is all that it says"
)

// readExtra returns the JSON object that an extra is, if it is one. It accepts any text but
// what no version of Airflow stores, and what begins as JSON and for a mistake in it is
// none: as text, no hook could use it.
func readExtra(text string) (object jsontext.Item, isObject bool, err error) {
	object, syntaxErr := jsontext.Parse([]byte(text))
	isJSON := syntaxErr == nil
	switch {
	case isJSON && object.HasLoneSurrogate():
		err = &FieldError{Field: "extra", Reason: surrogateReason}
	case !isJSON && strings.IndexAny(strings.TrimSpace(text), "{[") == 0:
		err = &FieldError{Field: "extra", Reason: brokenReason}
	}
	return object, isJSON && object.IsObject(), err
}

// HasPlainExtra says whether the extra is text that is no JSON object. Airflow 2 takes
// such a connection with a warning, and so does the worker of Airflow 3; what else reads
// connections in Airflow 3, its file backend among it, refuses it.
func (c Connection) HasPlainExtra() bool {
	if c.Extra == nil || c.Extra.Len() == 0 {
		return false
	}
	_, isObject, _ := readExtra(c.Extra.Reveal())
	return !isObject
}

// canonicalExtra checks text and makes an object canonical.
func canonicalExtra(text string) (string, error) {
	object, isObject, err := readExtra(text)
	if err != nil || !isObject {
		return text, err
	}
	return canonical(object), nil
}

// canonical gives an extra one text, whichever form it came in.
func canonical(object jsontext.Item) string {
	size := len(object.Value)
	return string(object.AppendCompact(make([]byte, 0, size+size/4)))
}
