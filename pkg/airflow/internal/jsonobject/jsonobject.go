// Package jsonobject takes a JSON object apart without losing anything: the order of
// its members, where they stand, and their values as they were written. Unlike
// encoding/json it tells keys apart by case, and refuses what that would repair in
// silence: a key given twice, text that is not UTF-8, half of a surrogate pair.
package jsonobject

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// MaxDepth bounds how deep values may nest. Python's own reader gives up at about a
// thousand.
const MaxDepth = 200

// Member is one key and its value.
type Member struct {
	Key string
	// Value is the JSON text of the value, a part of the text it was read from.
	Value []byte
	// Offset is where the key stands in that text, from 0.
	Offset int
}

// Is says whether text is one JSON object that Members would accept, but for keys
// given twice.
func Is(text string) bool {
	start := skipSpace([]byte(text), 0)
	return start < len(text) && text[start] == '{' && check([]byte(text)) == nil
}

// Members returns the members of the object that text is.
func Members(text []byte) ([]Member, error) {
	if err := check(text); err != nil {
		return nil, err
	}
	at := skipSpace(text, 0)
	if text[at] != '{' {
		return nil, errors.New("text is not a JSON object")
	}
	members := make([]Member, 0, 8)
	for at = skipSpace(text, at+1); text[at] != '}'; {
		member, next, err := cutMember(text, at)
		if err != nil {
			return nil, err
		}
		members = append(members, member)
		if at = skipSpace(text, next); text[at] == ',' {
			at = skipSpace(text, at+1)
		}
	}
	return members, refuseTwice(members)
}

func cutMember(text []byte, start int) (Member, int, error) {
	end := skipString(text, start)
	key, err := Text(text[start:end])
	if err != nil {
		return Member{}, 0, fmt.Errorf("key at byte %d %w", start+1, err)
	}
	colon := skipSpace(text, end)
	valueStart := skipSpace(text, colon+1)
	valueEnd := skipValue(text, valueStart)
	return Member{Key: key, Value: text[valueStart:valueEnd], Offset: start}, valueEnd, nil
}

// refuseTwice compares pairwise while that is cheaper than a map.
func refuseTwice(members []Member) error {
	if len(members) > 16 {
		return refuseTwiceOfMany(members)
	}
	for i, member := range members {
		for _, earlier := range members[:i] {
			if earlier.Key == member.Key {
				return twice(member)
			}
		}
	}
	return nil
}

func refuseTwiceOfMany(members []Member) error {
	seen := make(map[string]struct{}, len(members))
	for _, member := range members {
		if _, ok := seen[member.Key]; ok {
			return twice(member)
		}
		seen[member.Key] = struct{}{}
	}
	return nil
}

func twice(member Member) error {
	return fmt.Errorf("key %q at byte %d is given twice", member.Key, member.Offset+1)
}

// check refuses text that is not one JSON value. It does not quote the text, as the
// errors of encoding/json do.
func check(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("text is not UTF-8")
	}
	if !json.Valid(text) {
		return syntaxError(text)
	}
	return checkDepth(text)
}

func syntaxError(text []byte) error {
	var syntax *json.SyntaxError
	if err := json.Unmarshal(text, new(json.RawMessage)); errors.As(err, &syntax) {
		return fmt.Errorf("text is not JSON from byte %d on", syntax.Offset)
	}
	return errors.New("text is not JSON")
}

func checkDepth(text []byte) error {
	depth := 0
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '"':
			at = skipString(text, at) - 1
		case '{', '[':
			if depth++; depth > MaxDepth {
				return errors.New("text nests deeper than " + strconv.Itoa(MaxDepth) + " levels")
			}
		case '}', ']':
			depth--
		}
	}
	return nil
}
