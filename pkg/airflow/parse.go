package airflow

import (
	"fmt"
	"strings"
	"unicode"
)

// maxSize bounds the text of one connection: as much as a Kubernetes Secret holds.
const maxSize = 1 << 20

// Parse reads the value of AIRFLOW_CONN_<ID> as Airflow's lookup in the environment
// does: surrounding white space is dropped, text that begins with "{" is JSON, all
// else is a URI.
//
// Errors of Parse, ParseURI and ParseJSON name fields and places in the text, never
// what stands there.
func Parse(id, text string) (Connection, error) {
	text = strings.TrimFunc(text, isPythonSpace)
	if text == "" {
		return Connection{}, fmt.Errorf("reading connection: text is empty; give a URI or a JSON object")
	}
	if text[0] == '{' {
		return ParseJSON(id, []byte(text))
	}
	return ParseURI(id, text)
}

// isPythonSpace is what Python's str.strip takes away.
func isPythonSpace(char rune) bool {
	return unicode.IsSpace(char) || char >= 0x1c && char <= 0x1f
}

func checkSize(size int) error {
	if size > maxSize {
		return fmt.Errorf("reading connection: text of %d bytes is longer than %d", size, maxSize)
	}
	return nil
}
