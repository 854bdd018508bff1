package jsontext

// The functions below are the one way through JSON text. They take any text; what they make
// of text that Parse refuses means nothing, but they end.

// next is where the first token from at on starts and ends: a bracket, a comma, a colon, a
// whole string, or the letters of anything else. Both are the length of text if there is
// none.
func next(text []byte, at int) (start, end int) {
	for start = at; start < len(text) && isSpace(text[start]); {
		start++
	}
	if start == len(text) {
		return start, start
	}
	switch end = start + 1; {
	case text[start] == '"':
		return start, endOfString(text, end)
	case isPunctuation(text[start]):
		return start, end
	}
	for end < len(text) && text[end] != '"' && !isPunctuation(text[end]) && !isSpace(text[end]) {
		end++
	}
	return start, end
}

func isSpace(char byte) bool {
	return char == ' ' || char == '\n' || char == '\t' || char == '\r'
}

func isPunctuation(char byte) bool {
	switch char {
	case '{', '}', '[', ']', ',', ':':
		return true
	}
	return false
}

// endOfString is the place after the closing quote of the string whose content starts at.
func endOfString(text []byte, at int) int {
	for ; at < len(text); at++ {
		switch text[at] {
		case '\\':
			at++
		case '"':
			return at + 1
		}
	}
	return len(text)
}

// nested is how much deeper a token leads.
func nested(token byte) int {
	switch token {
	case '{', '[':
		return 1
	case '}', ']':
		return -1
	}
	return 0
}

// value is where the first value from at on starts and ends.
func value(text []byte, at int) (start, end int) {
	start, end = next(text, at)
	for depth, token := 0, start; token < len(text); token, end = next(text, end) {
		if depth += nested(text[token]); depth == 0 {
			break
		}
	}
	return start, end
}

// isConstant says whether a value is one of the numbers that Python's json writes and
// RFC 8259 has no word for.
func isConstant(value []byte) bool {
	switch string(value) {
	case "NaN", "Infinity", "-Infinity":
		return true
	}
	return false
}
