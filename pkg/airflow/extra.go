package airflow

import (
	"strings"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/pkg/airflow/internal/jsontext"
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

// canonical is valid JSON without the white space between its tokens and with all
// beyond ASCII escaped, so that one extra has one text, whichever form it came in.
// Escapes and numbers stay as they were written.
func canonical(text string) string {
	if isCanonical(text) {
		return text
	}
	return string(appendCanonical(make([]byte, 0, len(text)+len(text)/4), text))
}

func isCanonical(text string) bool {
	inString, escaped := false, false
	for i := range len(text) {
		char := text[i]
		if char >= utf8.RuneSelf || !inString && isJSONSpace(char) {
			return false
		}
		inString, escaped = nextState(char, inString, escaped)
	}
	return true
}

func appendCanonical(out []byte, text string) []byte {
	inString, escaped := false, false
	for _, char := range text {
		if char >= utf8.RuneSelf {
			out = jsontext.AppendEscaped(out, char)
			escaped = false
			continue
		}
		if inString || !isJSONSpace(byte(char)) {
			out = append(out, byte(char))
		}
		inString, escaped = nextState(byte(char), inString, escaped)
	}
	return out
}

// nextState follows valid JSON from outside a string to inside one and back.
func nextState(char byte, inString, escaped bool) (bool, bool) {
	switch {
	case escaped:
		return inString, false
	case char == '"':
		return !inString, false
	default:
		return inString, inString && char == '\\'
	}
}

func isJSONSpace(char byte) bool {
	return char == ' ' || char == '\n' || char == '\t' || char == '\r'
}
