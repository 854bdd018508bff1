package export

import (
	"bytes"
	"path"
	"strings"

	"github.com/leoflow/secrets-csi/internal/jsontext"
)

// node is a value of a file, in whichever format it was written.
type node struct {
	kind kind
	// text is the string, the number or boolean as JSON, or why the node is broken.
	text    string
	members []member
	items   []node
	line    int
}

type kind int

const (
	null kind = iota
	text
	literal // a number, true or false
	object
	list
	broken // cannot be read; node.text says why
)

// member is one key of an object. fault says why the key cannot stand.
type member struct {
	key   string
	fault string
	line  int
	value node
}

func (n node) member(key string) (member, bool) {
	for _, m := range n.members {
		if m.key == key {
			return m, true
		}
	}
	return member{}, false
}

// entries are those of a file: their keys, and one by one their values, which take many times what they
// are written in.
type entries struct {
	keys  []member // without their values
	value func(i int) node
}

// known are entries whose values are there already.
func known(members []member) entries {
	return entries{members, func(i int) node { return members[i].value }}
}

// split takes the entries of a file apart.
func split(name string, content []byte) (entries, error) {
	if len(content) > MaxSize {
		return entries{}, &FileError{File: name, Reason: "is larger than 16 MiB"}
	}
	if at := jsontext.OffsetOfInvalid(content); at < len(content) {
		return entries{}, &FileError{name, 1 + bytes.Count(content[:at], []byte("\n")), "is not UTF-8"}
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff")) // which some editors put before UTF-8
	switch suffix := strings.ToLower(path.Ext(name)); suffix {
	case ".json":
		return splitJSON(name, content)
	case ".yaml", ".yml":
		return splitYAML(name, content)
	case ".env":
		return splitEnv(name, content)
	default:
		return entries{}, &FileError{File: name, Reason: "is of no known format; name it .json, .yaml, .yml or .env"}
	}
}

// firstFault finds what makes a value unreadable, however deep it is.
func (n node) firstFault() error {
	if n.kind == broken {
		return at(n.line, n.text)
	}
	for _, item := range n.items {
		if err := item.firstFault(); err != nil {
			return err
		}
	}
	seen := make(map[string]struct{}, len(n.members))
	for _, m := range n.members {
		if m.fault != "" {
			return at(m.line, m.fault)
		}
		if _, twice := seen[m.key]; twice {
			return at(m.line, "holds a key that is given twice; remove one")
		}
		seen[m.key] = struct{}{}
		if err := m.value.firstFault(); err != nil {
			return err
		}
	}
	return nil
}

// appendJSON writes a node that firstFault finds nothing wrong with, compact and in
// ASCII. Numbers stay as they were written.
func (n node) appendJSON(out []byte) []byte {
	switch n.kind {
	case text:
		return jsontext.AppendText(out, n.text)
	case literal:
		return append(out, n.text...)
	case list:
		out = append(out, '[')
		for i, item := range n.items {
			out = item.appendJSON(separate(out, i))
		}
		return append(out, ']')
	case object:
		out = append(out, '{')
		for i, m := range n.members {
			out = append(jsontext.AppendText(separate(out, i), m.key), ':')
			out = m.value.appendJSON(out)
		}
		return append(out, '}')
	default:
		return append(out, "null"...)
	}
}

func separate(out []byte, i int) []byte {
	if i > 0 {
		return append(out, ',')
	}
	return out
}

// indentedJSON is the node as Airflow's Variable.set stores what is not a string:
// json.dumps with an indent of two.
func (n node) indentedJSON() (string, error) {
	out := n.appendIndented(nil, "\n")
	if len(out) > maxIndented {
		return "", at(n.line, "takes more than 1 MiB with the indent by which Airflow stores it; write it as a string")
	}
	return string(out), nil
}

// maxIndented bounds what the indent makes of a deep value, which may be two hundred times as long.
const maxIndented = 1 << 20

// appendIndented begins each line with a line break and the indent of the node. What it appends to is
// left as it is once that is too long.
func (n node) appendIndented(out []byte, line string) []byte {
	inner := line + "  "
	switch {
	case len(out) > maxIndented:
		return out
	case n.kind == list && len(n.items) > 0:
		for i, item := range n.items {
			if len(out) > maxIndented {
				return out
			}
			out = append(append(out, "[,"[min(i, 1)]), inner...)
			out = item.appendIndented(out, inner)
		}
		return append(append(out, line...), ']')
	case n.kind == object && len(n.members) > 0:
		for i, m := range n.members {
			if len(out) > maxIndented {
				return out
			}
			out = append(append(out, "{,"[min(i, 1)]), inner...)
			out = append(jsontext.AppendText(out, m.key), ": "...)
			out = m.value.appendIndented(out, inner)
		}
		return append(append(out, line...), '}')
	default:
		return n.appendJSON(out)
	}
}
