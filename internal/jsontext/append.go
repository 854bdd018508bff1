package jsontext

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf16"
)

// AppendText writes s as a JSON string in ASCII, byte for byte as Python's json.dumps
// does. It reads the same under every locale.
func AppendText(out []byte, s string) []byte {
	out = append(out, '"')
	for _, char := range s {
		switch {
		case char == '"' || char == '\\':
			out = append(out, '\\', byte(char))
		case char < ' ' || char > '~':
			out = AppendEscaped(out, char)
		default:
			out = append(out, byte(char))
		}
	}
	return append(out, '"')
}

// AppendEscaped writes the escape that stands for char within a JSON string.
func AppendEscaped(out []byte, char rune) []byte {
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

// AppendQuoted writes s as a JSON string, without the escapes that only HTML needs.
func AppendQuoted(out []byte, s string) []byte {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return append(append(append(out, '"'), s...), '"')
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always encodes, and a buffer always takes it
	return append(out, bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))...)
}
