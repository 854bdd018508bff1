package airflow

import (
	"strings"

	"github.com/leoflow/secrets-csi/internal/jsontext"
)

const (
	brokenReason    = "begins as JSON and is none; correct it"
	extraReason     = "must be a JSON object, such as {\"key\": \"value\"}, or text"
	surrogateReason = "holds half of a surrogate pair, which is no character; Airflow stores none, and \"isn't defined\" is all that it says"
)

// checkExtra accepts any text but what no version of Airflow stores, and what begins as JSON
// and for a mistake in it is none: as text, no hook could use it.
func checkExtra(text string) error {
	switch {
	case IsJSON(text):
		if jsontext.HasLoneSurrogate([]byte(text)) {
			return &FieldError{Field: "extra", Reason: surrogateReason}
		}
	case strings.IndexAny(strings.TrimSpace(text), "{[") == 0:
		return &FieldError{Field: "extra", Reason: brokenReason}
	}
	return nil
}

// IsJSON says whether text is one JSON value as Python reads it, with NaN and Infinity.
func IsJSON(text string) bool { return jsontext.Check([]byte(text)) == nil }

// isObject says whether an extra is one JSON object.
func isObject(text string) bool {
	return IsJSON(text) && jsontext.IsObject(jsontext.Trim([]byte(text)).Value)
}

// HasPlainExtra says whether the extra is text that is no JSON object. Airflow 2 takes
// such a connection with a warning, and so does the worker of Airflow 3; what else reads
// connections in Airflow 3, its file backend among it, refuses it.
func (c Connection) HasPlainExtra() bool {
	return c.Extra != nil && c.Extra.Len() > 0 && !isObject(c.Extra.Reveal())
}

// canonicalExtra checks text and makes an object canonical.
func canonicalExtra(text string) (string, error) {
	if err := checkExtra(text); err != nil || !isObject(text) {
		return text, err
	}
	return canonical(text), nil
}

// canonical gives an extra one text, whichever form it came in.
func canonical(text string) string {
	return string(jsontext.AppendCompact(make([]byte, 0, len(text)+len(text)/4), []byte(text)))
}
