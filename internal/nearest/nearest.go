// Package nearest finds the word that a misspelt one was probably meant to be.
package nearest

import "strings"

// Word is the one of words that misspelt is nearest to: at most two letters away from it, or one where they
// do not begin alike.
func Word(misspelt string, words []string) (string, bool) {
	const most = 2
	misspelt = strings.ToLower(misspelt)
	best, distance := "", most+1
	for _, word := range words {
		// The difference in length is a lower bound, and spares long nonsense.
		if misspelt == "" || len(misspelt) > len(word)+most {
			continue
		}
		d := edits(misspelt, word)
		if beginAlike := strings.HasPrefix(word, misspelt[:1]); d < distance && (beginAlike || d < most) {
			best, distance = word, d
		}
	}
	return best, distance <= most
}

// edits is the Levenshtein distance between a and b, in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substituted := diagonal
			if a[i] != b[j] {
				substituted++
			}
			diagonal = row[j+1]
			row[j+1] = min(substituted, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
