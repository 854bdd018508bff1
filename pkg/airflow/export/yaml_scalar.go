package export

import (
	"regexp"

	"go.yaml.in/yaml/v3"
)

// Airflow reads YAML 1.1, where "no" is false, 0123 is 83 and 12:30:45 is a number.
// What is read here is what 1.1 makes of it where nobody could mean anything else:
// decimal numbers, the words for true, false and null. What 1.1 takes for a number or
// date in another notation is an error rather than a surprise.
var (
	decimal  = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+([eE][-+][0-9]+)?)?$`)
	surprise = regexp.MustCompile(`^(` +
		`[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?[0-9][0-9_]*|` +
		`[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|` +
		`[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+][0-9]+)?|` +
		`[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|` +
		`[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?([Tt \t].*)?|=|<<)$`)
)

func scalar(source *yaml.Node) (kind, string) {
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	switch {
	case source.Style&yaml.TaggedStyle != 0 && source.Tag != "!!str":
		return broken, "has a YAML tag; remove it, and put text in quotes"
	case source.Style&(quoted|yaml.TaggedStyle) != 0:
		return text, source.Value
	default:
		return plain(source.Value)
	}
}

func plain(value string) (kind, string) {
	switch value {
	case "", "~", "null", "Null", "NULL":
		return null, ""
	case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON":
		return literal, "true"
	case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF":
		return literal, "false"
	}
	switch {
	case decimal.MatchString(value):
		return literal, value
	case surprise.MatchString(value):
		return broken, "is a number, date or mark in YAML 1.1 that may not be what you mean; put text in quotes, or write a plain decimal number"
	default:
		return text, value
	}
}
