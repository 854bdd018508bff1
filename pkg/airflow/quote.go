package airflow

import (
	"strings"
	"unicode/utf8"
)

// unquote undoes percent-encoding as Python's unquote does: "%" that no two hex
// digits follow stays, and bytes that are not UTF-8 become U+FFFD.
func unquote(text string) string {
	first := strings.IndexByte(text, '%')
	if first < 0 {
		return text
	}
	out := make([]byte, first, len(text))
	copy(out, text)
	for at := first; at < len(text); at++ {
		if text[at] == '%' && at+2 < len(text) && isHex(text[at+1]) && isHex(text[at+2]) {
			out = append(out, fromHex(text[at+1])<<4|fromHex(text[at+2]))
			at += 2
			continue
		}
		out = append(out, text[at])
	}
	if utf8.Valid(out) {
		return string(out)
	}
	return replaceInvalid(out)
}

// replaceInvalid puts one U+FFFD for each maximal part of a broken sequence (Unicode
// 3.9, "Substitution of Maximal Subparts"), as Python does and Go does not.
func replaceInvalid(text []byte) string {
	out := make([]byte, 0, len(text)+8)
	for len(text) > 0 {
		char, size := utf8.DecodeRune(text)
		if char == utf8.RuneError && size == 1 {
			for size < len(text) && !utf8.FullRune(text[:size+1]) {
				size++
			}
		}
		out = utf8.AppendRune(out, char)
		text = text[size:]
	}
	return string(out)
}

// appendQuoted percent-encodes all but the unreserved characters of RFC 3986.
func appendQuoted(out []byte, text string) []byte {
	for i := range len(text) {
		if isUnreserved(text[i]) {
			out = append(out, text[i])
		} else {
			out = appendPercent(out, text[i])
		}
	}
	return out
}

// appendHost percent-encodes the first upper-case letter too where nothing before it
// is encoded, so that Airflow keeps the case of the host (step 5 of ParseURI).
func appendHost(out []byte, host string) []byte {
	for i := range len(host) {
		if isUnreserved(host[i]) && (host[i] < 'A' || host[i] > 'Z') {
			continue
		}
		out = append(out, host[:i]...)
		out = appendPercent(out, host[i])
		return appendQuoted(out, host[i+1:])
	}
	return append(out, host...)
}

func appendPercent(out []byte, char byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(out, '%', hex[char>>4], hex[char&15])
}

func isUnreserved(char byte) bool {
	switch {
	case 'a' <= char && char <= 'z', 'A' <= char && char <= 'Z', isDigit(char):
		return true
	}
	return char == '-' || char == '.' || char == '_' || char == '~'
}

func isHex(char byte) bool {
	return isDigit(char) || 'a' <= char|0x20 && char|0x20 <= 'f'
}

func fromHex(char byte) byte {
	if isDigit(char) {
		return char - '0'
	}
	return (char | 0x20) - 'a' + 10
}
