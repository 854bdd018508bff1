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

// split takes the entries of a file apart.
func split(name string, content []byte) ([]member, error) {
	if len(content) > MaxSize {
		return nil, &FileError{File: name, Reason: "is larger than 16 MiB"}
	}
	if at := jsontext.OffsetOfInvalid(content); at < len(content) {
		return nil, &FileError{name, 1 + bytes.Count(content[:at], []byte("\n")), "is not UTF-8"}
	}
	content = TrimMark(content)
	switch suffix := strings.ToLower(path.Ext(name)); suffix {
	case ".json":
		return splitJSON(name, content)
	case ".yaml", ".yml":
		return splitYAML(name, content)
	case ".env":
		return splitEnv(name, content)
	default:
		return nil, &FileError{File: name, Reason: "is of no known format; name it .json, .yaml, .yml or .env"}
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
