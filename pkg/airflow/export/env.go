package export

import (
	"strings"
	"unicode/utf8"
)

// splitEnv reads lines of id=value by Airflow's rules: a comment begins with "#",
// nothing is trimmed or unquoted, and what Python's splitlines takes for the end of a
// line ends it.
//
// An empty file is no export of nothing: whoever writes a file anew without a rename has
// it empty for a while, and entries would be withdrawn for that while.
func splitEnv(name string, content []byte) (entries, error) {
	if len(content) == 0 {
		return entries{}, &FileError{name, 1, "is empty; if no entries are meant, write a comment into it"}
	}
	var members []member
	for i, line := range splitLines(string(content)) {
		bare := strings.TrimSpace(line)
		if bare == "" || bare[0] == '#' {
			continue
		}
		members = append(members, envEntry(line, i+1))
	}
	return known(members), nil
}

func envEntry(line string, number int) member {
	key, value, found := strings.Cut(line, "=")
	// Copies, since who keeps an id or a value would keep all of the file with it.
	key, value = strings.Clone(key), strings.Clone(value)
	entry := member{key: key, line: number, value: node{kind: text, text: value, line: number}}
	switch {
	case !found:
		// The line may be anything, a secret too: it is not an id to be printed.
		entry.key, entry.fault = "", "is not of the form id=value"
	case strings.HasPrefix(key, "export "):
		entry.fault = `begins with "export", which Airflow takes for a part of the id; remove it`
	case key == "":
		entry.fault = "has no id before the equals sign"
	case value == "":
		entry.fault = "has no value after the equals sign"
	}
	return entry
}

func splitLines(content string) []string {
	content = strings.ReplaceAll(content, "\r\n", "\n")
	var lines []string
	for {
		end := strings.IndexFunc(content, isLineEnd)
		if end < 0 {
			return append(lines, content)
		}
		_, size := utf8.DecodeRuneInString(content[end:])
		lines = append(lines, content[:end])
		content = content[end+size:]
	}
}

func isLineEnd(char rune) bool {
	return char >= '\n' && char <= '\r' || char >= 0x1c && char <= 0x1e ||
		char == 0x85 || char == 0x2028 || char == 0x2029
}
