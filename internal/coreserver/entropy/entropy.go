// Package entropy tells keys that somebody made up from those that a machine drew.
package entropy

import (
	"math"
	"strings"
)

// Least is what a key must have, in bits, as Bits reckons them: 32 random hexadecimal digits
// have about 115, and 40 times the same letter has none.
const Least = 100

// Bits is what a text would say if each of its bytes were drawn by itself, as often as it
// occurs in it: an upper bound of what it is worth, so that only what is certainly bad has
// little. What is written several times counts once.
func Bits(text string) float64 {
	text = text[:min(len(text), strings.Index((text + text)[min(1, len(text)):], text)+1)]
	var count [256]int
	for i := range len(text) {
		count[text[i]]++
	}
	bits := 0.0
	for _, n := range count {
		if n > 0 {
			bits += float64(n) * math.Log2(float64(len(text))/float64(n))
		}
	}
	return bits
}
