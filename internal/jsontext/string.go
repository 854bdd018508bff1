package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is what a string stands for.
func (i Item) Text() (string, error) {
	if i.Value[0] != '"' {
		return "", errors.New("is not a JSON string")
	}
	if bytes.IndexByte(i.Value, '\\') < 0 {
		return string(i.Value[1 : len(i.Value)-1]), nil
	}
	if i.HasLoneSurrogate() {
		return "", errors.New("holds half of a surrogate pair, which is no character")
	}
	var text string
	if err := json.Unmarshal(i.Value, &text); err != nil {
		return "", errors.New("is not a JSON string")
	}
	return text, nil
}

// HasLoneSurrogate finds, in a string or in any other value, half of a surrogate pair, which
// encoding/json would replace by U+FFFD.
func (i Item) HasLoneSurrogate() bool {
	for at := 0; at < len(i.Value); at++ {
		if i.Value[at] != '\\' {
			continue
		}
		if at++; i.Value[at] != 'u' {
			continue
		}
		unit := escapedUnit(i.Value[at-1:])
		at += 4
		switch {
		case unit < 0xD800 || unit > 0xDFFF:
		case unit < 0xDC00 && escapedUnit(i.Value[at+1:])&^0x3FF == 0xDC00:
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

// AppendText writes s as a JSON string in ASCII, byte for byte as Python's json.dumps
// does. It reads the same under every locale.
func AppendText(out []byte, s string) []byte {
	out = append(out, '"')
	written := 0
	for at := 0; at < len(s); {
		if ' ' <= s[at] && s[at] <= '~' && s[at] != '"' && s[at] != '\\' {
			at++
			continue
		}
		out = append(out, s[written:at]...)
		char, size := utf8.DecodeRuneInString(s[at:])
		if char == '"' || char == '\\' {
			out = append(out, '\\', byte(char))
		} else {
			out = appendEscaped(out, char)
		}
		at += size
		written = at
	}
	return append(append(out, s[written:]...), '"')
}

// AppendCompact appends the one text that a value has here: without white space between its
// tokens, and with all beyond ASCII escaped. Escapes and numbers stay as they were written.
func (i Item) AppendCompact(out []byte) []byte {
	for start, end := next(i.Value, 0); start < len(i.Value); start, end = next(i.Value, end) {
		for _, char := range string(i.Value[start:end]) {
			if char < utf8.RuneSelf {
				out = append(out, byte(char))
			} else {
				out = appendEscaped(out, char)
			}
		}
	}
	return out
}

// appendEscaped writes the escape that stands for char within a JSON string.
func appendEscaped(out []byte, char rune) []byte {
	switch char {
	case '\b':
		return append(out, `\b`...)
	case '\f':
		return append(out, `\f`...)
	case '\n':
		return append(out, `\n`...)
	case '\r':
		return append(out, `\r`...)
	case '\t':
		return append(out, `\t`...)
	}
	if utf16.RuneLen(char) == 2 {
		high, low := utf16.EncodeRune(char)
		return appendUnit(appendUnit(out, high), low)
	}
	return appendUnit(out, char)
}

func appendUnit(out []byte, unit rune) []byte {
	const hex = "0123456789abcdef"
	return append(out, '\\', 'u', hex[unit>>12&15], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15])
}
