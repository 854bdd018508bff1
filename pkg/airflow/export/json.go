package export

import (
	"bytes"
	"errors"
	"slices"

	"github.com/leoflow/secrets-csi/internal/jsontext"
)

func splitJSON(name string, content []byte) (entries, error) {
	reader := jsonReader{lineStarts: lineStarts(content)}
	whole, err := jsontext.Parse(content)
	if err != nil {
		return entries{}, reader.fileError(name, err)
	}
	if !whole.IsObject() {
		return entries{}, &FileError{name, reader.line(whole.Offset), mappingReason}
	}
	members, err := whole.Members()
	if err != nil {
		return entries{}, &FileError{name, reader.line(whole.Offset), badKeyReason}
	}
	keys := make([]member, len(members))
	for i, each := range members {
		keys[i] = member{key: each.Key, line: reader.line(each.KeyOffset)}
	}
	return entries{keys, func(i int) node { return reader.node(members[i].Item) }}, nil
}

const mappingReason = "must be a mapping from ids to entries, as the export commands write it"

// jsonReader knows where the lines of a file begin.
type jsonReader struct{ lineStarts []int }

func lineStarts(content []byte) []int {
	starts := []int{0}
	for at := 0; ; {
		next := bytes.IndexByte(content[at:], '\n')
		if next < 0 {
			return starts
		}
		at += next + 1
		starts = append(starts, at)
	}
}

func (r jsonReader) line(offset int) int {
	line, found := slices.BinarySearch(r.lineStarts, offset)
	if found {
		line++
	}
	return line
}

func (r jsonReader) fileError(name string, err error) error {
	var syntax *jsontext.SyntaxError
	if errors.As(err, &syntax) {
		return &FileError{name, r.line(syntax.Offset), "is " + syntax.Reason}
	}
	return &FileError{File: name, Reason: err.Error()}
}

func (r jsonReader) node(item jsontext.Item) node {
	n := node{line: r.line(item.Offset)}
	switch item.Value[0] {
	case '{':
		return r.object(n, item)
	case '[':
		n.kind = list
		for _, each := range item.Items() {
			n.items = append(n.items, r.node(each))
		}
	case '"':
		n.kind = text
		var err error
		if n.text, err = item.Text(); err != nil {
			n.kind, n.text = broken, err.Error()
		}
	case 'n':
		n.kind = null
	default:
		n.kind, n.text = literal, string(item.Value)
	}
	return n
}

func (r jsonReader) object(n node, item jsontext.Item) node {
	n.kind = object
	members, err := item.Members()
	if err != nil {
		n.kind, n.text = broken, badKeyReason
		return n
	}
	for _, each := range members {
		n.members = append(n.members, member{key: each.Key, line: r.line(each.KeyOffset), value: r.node(each.Item)})
	}
	return n
}

const badKeyReason = "holds a key that " + keyReason

const keyReason = "is not text: half of a surrogate pair is no character"
