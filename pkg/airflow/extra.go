package airflow

import (
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/pkg/airflow/internal/jsontext"
)

const extraReason = "must be a JSON object, such as {\"key\": \"value\"}; Airflow refuses anything else"

// checkExtra accepts what Airflow's own validation of extra accepts: an object, or
// nothing.
func checkExtra(text string) error {
	if text == "" {
		return nil
	}
	raw := []byte(text)
	if err := jsontext.Check(raw); err != nil || !jsontext.IsObject(jsontext.Trim(raw).Value) {
		return &FieldError{Field: "extra", Reason: extraReason}
	}
	return nil
}

// canonicalExtra checks text and makes it canonical.
func canonicalExtra(text string) (string, error) {
	if err := checkExtra(text); err != nil {
		return "", err
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
