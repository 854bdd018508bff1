package main

import (
	"strconv"
	"strings"
	"unicode"
)

// anchors are those of one page, by how often each was asked for.
type anchors map[string]int

// name is the anchor that GitHub gives to a heading: letters, digits, "-" and "_" stay, in
// lower case, blanks become "-", and a second one of that name ends in "-1".
func (taken anchors) name(words string) string {
	anchor := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.M, r):
			return unicode.ToLower(r)
		}
		return -1
	}, words)
	count := taken[anchor]
	taken[anchor]++
	if count > 0 {
		anchor += "-" + strconv.Itoa(count)
	}
	return anchor
}
