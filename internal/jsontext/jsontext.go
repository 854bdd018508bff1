// Package jsontext takes JSON apart without losing anything: the order of members,
// where they stand, and their values as they were written.
//
// encoding/json checks what is read here and undoes escapes, but its Decoder could not take
// the text apart: it puts U+FFFD for half of a surrogate pair without a word, has no NaN and
// no Infinity, which Python writes and reads, and makes a Go value of every token.
package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxDepth bounds how deep values may nest. Python's own reader gives up at about a
// thousand.
const MaxDepth = 200

// Item is one value: its JSON text, a part of the text it was read from, and where in
// that it stands, from 0. Parse makes it.
type Item struct {
	Value  []byte
	Offset int
}

// Member is one key of an object and its value.
type Member struct {
	Key string
	// KeyOffset is where the key stands, as Offset is of the value.
	KeyOffset int
	Item
}

// SyntaxError says where text stops to be what it should be. It quotes nothing, as the
// errors of encoding/json do.
type SyntaxError struct {
	Offset int // from 0
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset+1, e.Reason) }

// Parse returns the one JSON value that text is, without the white space around it. The
// error is a *SyntaxError, also where values nest too deep.
//
// JSON is what Python reads and writes by that name, so NaN, Infinity and -Infinity are
// values too.
func Parse(text []byte) (Item, error) {
	if at := OffsetOfInvalid(text); at < len(text) {
		return Item{}, &SyntaxError{at, "not UTF-8"}
	}
	if !isSyntax(text) {
		return Item{}, syntaxError(withoutConstants(text))
	}
	if err := checkDepth(text); err != nil {
		return Item{}, err
	}
	start, _ := next(text, 0)
	return Item{bytes.TrimRight(text[start:], " \n\t\r"), start}, nil
}

// Valid says whether text is one JSON value in UTF-8, by the rules of Parse but for MaxDepth, which
// bounds what is read: what is written around it stands a level deeper.
func Valid(text []byte) bool { return utf8.Valid(text) && isSyntax(text) }

func isSyntax(text []byte) bool { return json.Valid(text) || json.Valid(withoutConstants(text)) }

// OffsetOfInvalid is the place of the first byte that is not UTF-8, or the length of
// text where all is.
func OffsetOfInvalid(text []byte) int {
	if utf8.Valid(text) {
		return len(text)
	}
	for at := 0; at < len(text); {
		char, size := utf8.DecodeRune(text[at:])
		if char == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return len(text)
}

func syntaxError(text []byte) error {
	var syntax *json.SyntaxError
	switch err := json.Unmarshal(text, new(json.RawMessage)); {
	case !errors.As(err, &syntax):
		return &SyntaxError{0, "not JSON"}
	case strings.Contains(err.Error(), "exceeded max depth"):
		return tooDeep(max(int(syntax.Offset)-1, 0))
	default:
		return &SyntaxError{max(int(syntax.Offset)-1, 0), "not JSON from here on"}
	}
}

func tooDeep(at int) error {
	return &SyntaxError{at, fmt.Sprintf("nested deeper than %d levels", MaxDepth)}
}

func checkDepth(text []byte) error {
	depth := 0
	for start, end := next(text, 0); start < len(text); start, end = next(text, end) {
		if depth += nested(text[start]); depth > MaxDepth {
			return tooDeep(start)
		}
	}
	return nil
}

// withoutConstants has a number of the same length in place of each constant, so that
// encoding/json can judge the rest.
func withoutConstants(text []byte) []byte {
	out := bytes.Clone(text)
	for start, end := next(out, 0); start < len(out); start, end = next(out, end) {
		if isConstant(out[start:end]) {
			copy(out[start:end], "111111111")
		}
	}
	return out
}

// IsObject says whether the value is an object.
func (i Item) IsObject() bool { return i.Value[0] == '{' }

// Members returns the members of an object, in their order. A key may come twice.
func (i Item) Members() ([]Member, error) {
	members := make([]Member, 0, 8)
	for at, end := next(i.Value, 1); i.Value[at] != '}'; at, end = next(i.Value, end) {
		if i.Value[at] == ',' {
			continue
		}
		key := i.part(at, end)
		name, err := key.Text()
		if err != nil {
			return nil, &SyntaxError{key.Offset, "key " + err.Error()}
		}
		_, colon := next(i.Value, end)
		var start int
		start, end = value(i.Value, colon)
		members = append(members, Member{name, key.Offset, i.part(start, end)})
	}
	return members, nil
}

// ParseObject returns the members of the one JSON object that text is.
func ParseObject(text []byte) ([]Member, error) {
	object, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if !object.IsObject() {
		return nil, errors.New("it must be an object")
	}
	return object.Members()
}

// Last returns the value of a key. Where it comes twice Python takes the last.
func Last(members []Member, key string) (value Item, found bool) {
	for _, member := range members {
		if member.Key == key {
			value, found = member.Item, true
		}
	}
	return value, found
}

// Items returns the values of a list.
func (i Item) Items() []Item {
	var items []Item
	for at, end := value(i.Value, 1); i.Value[at] != ']'; at, end = value(i.Value, end) {
		if i.Value[at] != ',' {
			items = append(items, i.part(at, end))
		}
	}
	return items
}

func (i Item) part(start, end int) Item { return Item{i.Value[start:end], i.Offset + start} }
