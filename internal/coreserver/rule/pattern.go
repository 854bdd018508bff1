package rule

import "strings"

// Pattern is a name in which "*" stands for any text.
type Pattern string

// Matches compares the whole of text, by case.
func (p Pattern) Matches(text string) bool {
	first, pattern, isWild := strings.Cut(string(p), "*")
	if !isWild {
		return text == first
	}
	rest, found := strings.CutPrefix(text, first)
	for found {
		part, others, isMore := strings.Cut(pattern, "*")
		if !isMore {
			return strings.HasSuffix(rest, part)
		}
		_, rest, found = strings.Cut(rest, part)
		pattern = others
	}
	return false
}

func (p Pattern) isExact() bool { return !strings.Contains(string(p), "*") }

// overlaps tells whether any text matches both patterns. It walks both at once: row[j] says
// whether what is read of p can be the same text as the first j characters of other.
func (p Pattern) overlaps(other Pattern) bool {
	switch {
	case p.isExact():
		return other.Matches(string(p))
	case other.isExact():
		return p.Matches(string(other))
	case !samePrefix(p, other):
		return false
	}
	row := make([]bool, len(other)+1)
	row[0] = true
	for j := 0; j < len(other) && other[j] == '*'; j++ {
		row[j+1] = true
	}
	for i := range len(p) {
		row = overlapRow(row, p[i], string(other))
	}
	return row[len(other)]
}

// samePrefix compares what stands before the first "*" of each, which tells most pairs apart.
func samePrefix(a, b Pattern) bool {
	first, _, _ := strings.Cut(string(a), "*")
	second, _, _ := strings.Cut(string(b), "*")
	return strings.HasPrefix(first, second) || strings.HasPrefix(second, first)
}

func overlapRow(before []bool, char byte, other string) []bool {
	row := make([]bool, len(before))
	row[0] = before[0] && char == '*'
	for j := range len(other) {
		switch {
		case char == '*' || other[j] == '*':
			row[j+1] = before[j+1] || row[j]
		default:
			row[j+1] = before[j] && char == other[j]
		}
	}
	return row
}

// Patterns match what any one of them matches.
type Patterns []Pattern

// Match tells whether any pattern matches text.
func (p Patterns) Match(text string) bool {
	for _, pattern := range p {
		if pattern.Matches(text) {
			return true
		}
	}
	return false
}

func (p Patterns) wild() (count int) {
	for _, pattern := range p {
		if !pattern.isExact() {
			count++
		}
	}
	return count
}

func (p Patterns) overlap(one Pattern) bool {
	for _, pattern := range p {
		if pattern.overlaps(one) {
			return true
		}
	}
	return false
}
