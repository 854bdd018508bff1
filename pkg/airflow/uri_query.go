package airflow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// extraKey is the query key whose value is the whole extra.
const extraKey = "__extra__"

// maxPairs bounds the pairs of a query.
const maxPairs = 512

type pair struct{ key, value string }

// readQuery makes the extra of a query: the value of __extra__ where there is one,
// else an object of all pairs. Their values stay strings; some versions of Airflow
// make numbers of them, which is why URI never writes pairs.
func readQuery(query string) (*secret.Text, error) {
	if query == "" {
		return nil, nil
	}
	pairs, err := splitQuery(query)
	if err != nil {
		return nil, err
	}
	var text string
	if at := slices.IndexFunc(pairs, func(p pair) bool { return p.key == extraKey }); at >= 0 {
		text = pairs[at].value
	} else {
		text = objectOf(pairs)
	}
	if text == "" {
		return nil, nil
	}
	extra, fault := canonicalExtra(text)
	if fault != "" {
		return nil, &FieldError{Field: "extra", Reason: fault}
	}
	return new(secret.New(extra)), nil
}

// splitQuery keeps the last value of a key that comes twice, and the place of the
// first. A query without any pair is an empty object, as it is for Airflow.
func splitQuery(query string) ([]pair, error) {
	pairs := make([]pair, 0, 4)
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		if len(pairs) == maxPairs {
			return nil, &FieldError{Field: "extra", Reason: fmt.Sprintf("has more than %d query pairs; use %s", maxPairs, extraKey)}
		}
		key, value, _ := strings.Cut(part, "=")
		pairs = setPair(pairs, pair{unquoteQuery(key), unquoteQuery(value)})
	}
	return pairs, nil
}

func setPair(pairs []pair, next pair) []pair {
	for i := range pairs {
		if pairs[i].key == next.key {
			pairs[i].value = next.value
			return pairs
		}
	}
	return append(pairs, next)
}

func objectOf(pairs []pair) string {
	out := []byte{'{'}
	for i, pair := range pairs {
		if i > 0 {
			out = append(out, ',')
		}
		out = jsontext.AppendText(out, pair.key)
		out = append(out, ':')
		out = jsontext.AppendText(out, pair.value)
	}
	return string(append(out, '}'))
}

func unquoteQuery(text string) string {
	return unquote(strings.ReplaceAll(text, "+", " "))
}
