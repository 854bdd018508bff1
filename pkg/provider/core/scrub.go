package core

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	redacted = "[redacted]"
	// longestMessage bounds what a server can put into our errors, logs and events.
	longestMessage = 240
	// shortestPart is the least of a token that is worth hiding on its own; shorter
	// ones would blot out ordinary words.
	shortestPart = 8
)

// scrubber makes a server's words fit to repeat: without the tokens it was sent,
// printable, and short.
type scrubber struct{ tokens *strings.Replacer }

// newScrubber hides the tokens, and the parts of those that are JWTs.
func newScrubber(tokens ...secret.Text) scrubber {
	var hidden []string
	for _, token := range tokens {
		for _, part := range append(strings.Split(token.Reveal(), "."), token.Reveal()) {
			if len(part) >= shortestPart || part == token.Reveal() && part != "" {
				hidden = append(hidden, part)
			}
		}
	}
	// The replacer takes the first that fits, so the longest come first.
	slices.SortFunc(hidden, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	pairs := make([]string, 0, 2*len(hidden))
	for _, part := range slices.Compact(hidden) {
		pairs = append(pairs, part, redacted)
	}
	return scrubber{strings.NewReplacer(pairs...)}
}

func scrubberFor(pods []provider.Identity) scrubber {
	tokens := make([]secret.Text, len(pods))
	for i, pod := range pods {
		tokens[i] = pod.Token
	}
	return newScrubber(tokens...)
}

// text hides before it cuts: a token cut in half would no longer be recognised.
func (s scrubber) text(words string) string {
	words = s.tokens.Replace(words)
	if len(words) > longestMessage {
		cut := longestMessage
		for cut > 0 && !utf8.RuneStart(words[cut]) {
			cut--
		}
		words = words[:cut] + "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, words)
}

// quote is text in quotes, so that it cannot be taken for our own words.
func (s scrubber) quote(words string) string { return strconv.Quote(s.text(words)) }
