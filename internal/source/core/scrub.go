package core

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	redacted = "[redacted]"
	// longestMessage bounds what a server can put into our errors, logs and events.
	longestMessage = 240
	// longestWords is what is looked through for tokens; nobody explains a thing at more
	// length. It is what gRPC lets a server say in a status.
	longestWords = maxHeaderList
	// shortestPart is the least of a token that is worth hiding on its own; shorter
	// ones would blot out ordinary words.
	shortestPart = 8
)

// scrubber makes a server's words fit to repeat: without the tokens it was sent,
// printable, and short.
type scrubber struct {
	// hidden is what it looks for, longest first. Most calls end without a word from the
	// server, so that nobody asks.
	hidden func() []string
	// only is the one token that it was sent, if it was one.
	only secret.Text
}

// newScrubber hides the tokens, and the parts of those that are JWTs.
func newScrubber(tokens ...secret.Text) scrubber {
	made := scrubber{hidden: sync.OnceValue(func() []string { return partsOf(tokens) })}
	if len(tokens) == 1 {
		made.only = tokens[0]
	}
	return made
}

func partsOf(tokens []secret.Text) []string {
	var hidden []string
	for _, token := range tokens {
		for _, part := range append(strings.Split(token.Reveal(), "."), token.Reveal()) {
			if len(part) >= shortestPart || part == token.Reveal() && part != "" {
				hidden = append(hidden, part)
			}
		}
	}
	slices.SortFunc(hidden, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	return slices.Compact(hidden)
}

func scrubberFor(pods []provider.Identity) scrubber {
	tokens := make([]secret.Text, len(pods))
	for i, pod := range pods {
		tokens[i] = pod.Token
	}
	return newScrubber(tokens...)
}

// text hides before it cuts: a token cut in half would no longer be recognised. It takes
// time in proportion to the words, however they repeat themselves: strings.ReplaceAll
// does, a strings.Replacer of long parts does not.
func (s scrubber) text(words string) string {
	switch {
	case words == "":
		return ""
	case len(words) > longestWords:
		return fmt.Sprintf("[%d bytes]", len(words))
	}
	for _, part := range s.hidden() {
		words = strings.ReplaceAll(words, part, redacted)
	}
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
