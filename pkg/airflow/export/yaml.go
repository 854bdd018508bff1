package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/internal/yamlline"
)

func splitYAML(name string, content []byte) (entries, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	switch {
	case errors.Is(err, io.EOF):
		return entries{}, &FileError{name, 1, "is empty; " + mappingReason}
	case err != nil:
		return entries{}, yamlError(name, content, err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return entries{}, &FileError{name, second.Line, "holds more than the one document that Airflow reads"}
	case !errors.Is(err, io.EOF):
		return entries{}, yamlError(name, content, err)
	}
	reader := yamlReader{budget: maxRepeated}
	root := reader.node(document.Content[0], 0)
	if root.kind == broken {
		return entries{}, &FileError{name, root.line, root.text}
	}
	if root.kind != object {
		return entries{}, &FileError{name, root.line, mappingReason}
	}
	return known(root.members), nil
}

// yamlError leaves out what the YAML library says, whose text may quote the file.
func yamlError(name string, content []byte, err error) error {
	line, reason := yamlline.Of(content, err)
	if strings.HasPrefix(reason, "exceeded max depth") {
		return &FileError{name, line, fmt.Sprintf("is nested deeper than %d levels", jsontext.MaxDepth)}
	}
	return &FileError{name, line, "is not YAML"}
}

// maxRepeated bounds the nodes that aliases repeat, in all.
const maxRepeated = 100_000

// yamlReader knows how many nodes aliases may still repeat, and within how many
// aliases it is.
type yamlReader struct{ budget, aliases int }

func (r *yamlReader) node(source *yaml.Node, depth int) node {
	if r.aliases > 0 {
		r.budget--
	}
	if depth > jsontext.MaxDepth || r.aliases > 0 && r.budget < 0 {
		return node{kind: broken, line: source.Line, text: "nests too deep, or its aliases repeat too much"}
	}
	n := node{line: source.Line}
	switch source.Kind {
	case yaml.AliasNode:
		r.aliases++
		n = r.node(source.Alias, depth+1)
		r.aliases--
		n.line = source.Line
	case yaml.SequenceNode:
		n.kind = list
		for _, item := range source.Content {
			n.items = append(n.items, r.node(item, depth+1))
		}
	case yaml.MappingNode:
		n.kind, n.members = object, r.members(source, depth)
	default:
		n.kind, n.text = scalar(source)
	}
	return n
}

func (r *yamlReader) members(source *yaml.Node, depth int) []member {
	var members, merged []member
	for i := 0; i+1 < len(source.Content); i += 2 {
		key, value := source.Content[i], r.node(source.Content[i+1], depth+1)
		if isMergeKey(key) {
			merged = append(merged, mergedMembers(value)...)
			continue
		}
		members = append(members, newMember(key, value))
	}
	return addMissing(members, merged)
}

func newMember(key *yaml.Node, value node) member {
	m := member{key: key.Value, line: key.Line, value: value}
	if key.Kind == yaml.AliasNode {
		key = key.Alias
		m.key = key.Value
	}
	if kind, _ := scalar(key); key.Kind != yaml.ScalarNode || kind != text {
		m.fault = "is not text in YAML 1.1; put it in quotes"
	}
	return m
}

func isMergeKey(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Style == 0 && key.Value == "<<"
}

// mergedMembers are those that "<<" takes over from a mapping, or from several in a
// list, of which the first wins.
func mergedMembers(value node) []member {
	switch value.kind {
	case object:
		return value.members
	case list:
		var members []member
		for _, item := range value.items {
			members = addMissing(members, mergedMembers(item))
		}
		return members
	default:
		return []member{{key: "<<", line: value.line, fault: "must be merged from a mapping"}}
	}
}

// addMissing keeps keys that members itself holds twice, so that they are found.
func addMissing(members, more []member) []member {
	held := make(map[string]struct{}, len(members))
	for _, m := range members {
		held[m.key] = struct{}{}
	}
	for _, m := range more {
		if _, found := held[m.key]; !found {
			held[m.key] = struct{}{}
			members = append(members, m)
		}
	}
	return members
}

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
