// Package jsontext takes JSON apart without losing anything: the order of members,
// where they stand, and their values as they were written. Unlike encoding/json it
// tells keys apart by case, and refuses what that repairs in silence: text that is not
// UTF-8 and halves of surrogate pairs.
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

// Member is one key of an object and its value.
type Member struct {
	Key string
	Item
	// KeyOffset is where the key stands, from 0.
	KeyOffset int
}

// Item is one value: its JSON text, a part of the text it was read from, and where in
// that it stands, from 0.
type Item struct {
	Value  []byte
	Offset int
}

// SyntaxError says where text stops to be what it should be. It quotes nothing, as the
// errors of encoding/json do.
type SyntaxError struct {
	Offset int // from 0
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset+1, e.Reason) }

// Check refuses text that is not one JSON value, or
// that nests too deep. The error is a *SyntaxError. The functions below are for text
// that it accepted and Trim trimmed.
//
// JSON is what Python reads and writes by that name, so NaN, Infinity and -Infinity are
// values too.
func Check(text []byte) error {
	if at := OffsetOfInvalid(text); at < len(text) {
		return &SyntaxError{at, "not UTF-8"}
	}
	if !json.Valid(text) {
		text = withoutConstants(text)
		if !json.Valid(text) {
			return syntaxError(text)
		}
	}
	return checkDepth(text)
}

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
		if IsConstant(out[start:end]) {
			copy(out[start:end], "111111111")
		}
	}
	return out
}

// Trim removes white space around text.
func Trim(text []byte) Item {
	start, _ := next(text, 0)
	return Item{Value: bytes.TrimRight(text[start:], " \n\t\r"), Offset: start}
}

// IsObject says whether text is an object.
func IsObject(text []byte) bool { return len(text) > 0 && text[0] == '{' }

// Members returns the members of the object that text is, in their order. A key may
// come twice.
func Members(text []byte) ([]Member, error) {
	members := make([]Member, 0, 8)
	for at, end := next(text, 1); text[at] != '}'; at, end = next(text, end) {
		if text[at] == ',' {
			continue
		}
		key, err := Text(text[at:end])
		if err != nil {
			return nil, &SyntaxError{at, "key " + err.Error()}
		}
		_, colon := next(text, end)
		var start int
		start, end = value(text, colon)
		members = append(members, Member{Key: key, KeyOffset: at, Item: Item{text[start:end], start}})
	}
	return members, nil
}

// Items returns the values of the list that text is.
func Items(text []byte) []Item {
	var items []Item
	for at, end := value(text, 1); text[at] != ']'; at, end = value(text, end) {
		if text[at] != ',' {
			items = append(items, Item{text[at:end], at})
		}
	}
	return items
}

// AppendCompact appends the one text that a value has here: without white space between its
// tokens, and with all beyond ASCII escaped. Escapes and numbers stay as they were written.
func AppendCompact(out, text []byte) []byte {
	for start, end := next(text, 0); start < len(text); start, end = next(text, end) {
		for _, char := range string(text[start:end]) {
			if char < utf8.RuneSelf {
				out = append(out, byte(char))
			} else {
				out = AppendEscaped(out, char)
			}
		}
	}
	return out
}

// Twice returns the first member whose key an earlier one has.
func Twice(members []Member) (Member, bool) {
	if len(members) > 16 {
		return twiceOfMany(members)
	}
	for i, member := range members {
		for _, earlier := range members[:i] {
			if earlier.Key == member.Key {
				return member, true
			}
		}
	}
	return Member{}, false
}

func twiceOfMany(members []Member) (Member, bool) {
	seen := make(map[string]struct{}, len(members))
	for _, member := range members {
		if _, ok := seen[member.Key]; ok {
			return member, true
		}
		seen[member.Key] = struct{}{}
	}
	return Member{}, false
}
