package airflow

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// upper is Python's str.upper, by which Airflow makes the names of environment
// variables. Unlike strings.ToUpper it maps one character to several where Unicode's
// SpecialCasing says so: "straße" is "STRASSE".
func upper(text string) string {
	if isASCII := !strings.ContainsFunc(text, func(char rune) bool { return char >= utf8.RuneSelf }); isASCII {
		return strings.ToUpper(text)
	}
	return cases.Upper(language.Und).String(text)
}
