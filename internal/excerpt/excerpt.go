// Package excerpt keeps messages readable when the text that they quote is not.
package excerpt

import (
	"strconv"
	"unicode/utf8"
)

// Of is the text, or the beginning of one that is long.
func Of(text string) string { return Cut(64, text) }

// Cut is so many bytes of the text at most, and a sign where there is more.
func Cut(most int, text string) string {
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// Quote shows a text with whatever is odd about it made visible.
func Quote(text string) string { return strconv.QuoteToASCII(Of(text)) }
