package jsontext

import "bytes"

// constants are the numbers that Python's json writes and RFC 8259 has no word for.
var constants = [...]string{"NaN", "Infinity", "-Infinity"}

// IsConstant says whether a value is one of them.
func IsConstant(value []byte) bool {
	for _, constant := range constants {
		if string(value) == constant {
			return true
		}
	}
	return false
}

// withoutConstants has a number of the same length in place of each, so that
// encoding/json can judge the rest. text may be anything.
func withoutConstants(text []byte) []byte {
	if !bytes.Contains(text, []byte("NaN")) && !bytes.Contains(text, []byte("Infinity")) {
		return text
	}
	out := bytes.Clone(text)
	for at := 0; at < len(out); {
		if out[at] == '"' {
			at = endOfAnyString(out, at)
			continue
		}
		length := constantAt(out, at)
		for i := range length {
			out[at+i] = '1'
		}
		at += max(length, 1)
	}
	return out
}

// constantAt is the length of the constant that is a value at this place, or 0.
func constantAt(text []byte, at int) int {
	if at > 0 && bytes.IndexByte([]byte("[,: \n\t\r"), text[at-1]) < 0 {
		return 0
	}
	for _, constant := range constants {
		after := at + len(constant)
		if bytes.HasPrefix(text[at:], []byte(constant)) && (after == len(text) || bytes.IndexByte([]byte("],} \n\t\r"), text[after]) >= 0) {
			return len(constant)
		}
	}
	return 0
}

// endOfAnyString is the place after a string that may never end.
func endOfAnyString(text []byte, start int) int {
	for at := start + 1; at < len(text); at++ {
		switch text[at] {
		case '\\':
			at++
		case '"':
			return at + 1
		}
	}
	return len(text)
}
