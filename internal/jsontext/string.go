package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
)

// Text is the string that the JSON string quoted stands for.
func Text(quoted []byte) (string, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	if HasLoneSurrogate(quoted) {
		return "", errors.New("holds half of a surrogate pair, which is no character")
	}
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return "", errors.New("is not a JSON string")
	}
	return text, nil
}

// HasLoneSurrogate finds, in a string or in any value that Check accepts, half of a
// surrogate pair, which encoding/json would replace by U+FFFD.
func HasLoneSurrogate(quoted []byte) bool {
	for at := 0; at < len(quoted); at++ {
		if quoted[at] != '\\' {
			continue
		}
		if at++; quoted[at] != 'u' {
			continue
		}
		unit := escapedUnit(quoted[at-1:])
		at += 4
		switch {
		case unit < 0xD800 || unit > 0xDFFF:
		case unit < 0xDC00 && escapedUnit(quoted[at+1:])&^0x3FF == 0xDC00:
			at += 6
		default:
			return true
		}
	}
	return false
}

// escapedUnit is the UTF-16 unit that text starts with as \uXXXX, or 0.
func escapedUnit(text []byte) uint64 {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	unit, _ := strconv.ParseUint(string(text[2:6]), 16, 16)
	return unit
}
