package layout

// appendIndented adds compact JSON that encoding/json has written, as json.Indent would lay
// it out with two blanks for each level. That checks the text once more, which takes four
// times as long as writing it did, for each manifest.
func appendIndented(into, compact []byte) []byte {
	depth := 0
	newline := func() {
		into = append(into, '\n')
		for range depth {
			into = append(into, ' ', ' ')
		}
	}
	for i := 0; i < len(compact); i++ {
		switch c := compact[i]; c {
		case '"':
			end := endOfString(compact, i)
			into = append(into, compact[i:end]...)
			i = end - 1
		case '{', '[':
			into = append(into, c)
			if next := compact[i+1]; next == '}' || next == ']' {
				into = append(into, next)
				i++
				continue
			}
			depth++
			newline()
		case '}', ']':
			depth--
			newline()
			into = append(into, c)
		case ',':
			into = append(into, c)
			newline()
		case ':':
			into = append(into, ':', ' ')
		default:
			into = append(into, c)
		}
	}
	return into
}

// endOfString is the position behind the string that begins at position begin.
func endOfString(text []byte, begin int) int {
	for i := begin + 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}
