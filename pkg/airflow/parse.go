package airflow

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
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
	text = TrimSpace(text)
	if text == "" {
		return Connection{}, fmt.Errorf("reading connection: text is empty; give a URI or a JSON object")
	}
	if strings.HasPrefix(text, "\ufeff") { // which some editors put before UTF-8, and no URI and no JSON begins with
		return Connection{}, fmt.Errorf("reading connection: text begins with a byte order mark; store it without")
	}
	if text[0] == '{' {
		return ParseJSON(id, []byte(text))
	}
	return ParseURI(id, text)
}

// TrimSpace is Python's str.strip.
func TrimSpace(text string) string { return strings.TrimFunc(text, isPythonSpace) }

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

// Losses are what reading the value of AIRFLOW_CONN_<ID> loses, a sentence each. Airflow
// loses the same and says nothing, so what was written is not what anybody gets. They
// hold no value.
func Losses(text string) []string {
	text = TrimSpace(text)
	if text == "" || text[0] == '{' {
		return nil
	}
	uri, _, hasFragment := strings.Cut(cleanURI(text), "#")
	before, query, _ := strings.Cut(uri, "?")
	var losses []string
	if hasFragment {
		losses = append(losses, `"#" ends the URI, and what stands after it is lost: write %23`)
	}
	if decodesToReplacement(before) || decodesToReplacement(query) {
		losses = append(losses, "it has percent-encoded bytes that are not UTF-8, and each becomes U+FFFD: encode the text as UTF-8")
	}
	return append(losses, lossesOfQuery(query)...)
}

func decodesToReplacement(text string) bool {
	meant := strings.Count(text, string(utf8.RuneError)) + strings.Count(strings.ToUpper(text), "%EF%BF%BD")
	return strings.Count(unquote(text), string(utf8.RuneError)) > meant
}

func lossesOfQuery(query string) []string {
	count := map[string]int{}
	repeated := false
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		key, _, _ := strings.Cut(part, "=")
		key = unquoteQuery(key)
		count[key]++
		repeated = repeated || count[key] > 1
	}
	var losses []string
	if count[extraKey] > 0 && len(count) > 1 {
		losses = append(losses, "what stands beside "+extraKey+" in the query is lost: put it into "+extraKey)
	}
	if repeated {
		losses = append(losses, "a key stands twice in the query, and all but the last are lost: use a list in "+extraKey)
	}
	return losses
}
