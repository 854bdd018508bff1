package attribute

import "strings"

// nearest finds the one of words that was probably meant by a misspelt one.
func nearest(misspelt string, words []string) (string, bool) {
	const most = 2
	best, distance := "", most+1
	for _, word := range words {
		// The difference in length is a lower bound, and spares long nonsense.
		if len(misspelt) > len(word)+most {
			continue
		}
		if d := edits(strings.ToLower(misspelt), word); d < distance {
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
