package airflow

import (
	"fmt"
	"strings"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// extraKey is the query key whose value is the whole extra.
const extraKey = "__extra__"

// maxPairs bounds the pairs of a query.
const maxPairs = 512

type pair struct{ key, value string }

// takeQuery makes the extra of a query: the value of __extra__ where there is one,
// else an object of all pairs. Their values stay strings; some versions of Airflow
// make numbers of them, which is why URI never writes pairs.
func (c *Connection) takeQuery(held *values, query string) error {
	if query == "" {
		return nil
	}
	pairs, err := splitQuery(query)
	if err != nil {
		return err
	}
	text := objectOf(pairs)
	for _, pair := range pairs {
		if pair.key == extraKey {
			text = pair.value
		}
	}
	if text == "" {
		return nil
	}
	canonical, err := canonicalExtra(text)
	if err != nil {
		return err
	}
	held.extra = secret.New(canonical)
	c.Extra = &held.extra
	return nil
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
	if len(pairs) == 1 && pairs[0].key == extraKey {
		return pairs[0].value
	}
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
