// Package filename names the files of entries. It is apart from layout because only the
// writer of a volume needs it, and hashing would cost the agent a tenth of its start.
package filename

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxFileName is NAME_MAX, the longest file name that Linux allows, in bytes.
const maxFileName = 255

// Of is the name of the file that holds the entry id. Most ids are their own
// file name. Percent-encoded are "/", "%", a leading ".", and whatever is not
// printable UTF-8; an id that is then still too long keeps its beginning, followed by
// "%~" and the SHA-256 of the whole id. Two different ids never share a name: "%~"
// cannot come out of the encoding, and everything else of it can be reversed.
func Of(id string) string {
	name := encode(id)
	if name == "" {
		return "%" // no other id yields a lone "%"
	}
	if len(name) <= maxFileName {
		return name
	}
	sum := sha256.Sum256([]byte(id))
	tail := "%~" + hex.EncodeToString(sum[:])
	return cut(name, maxFileName-len(tail)) + tail
}

func encode(id string) string {
	const hexDigits = "0123456789ABCDEF"
	var name strings.Builder
	for i := 0; i < len(id); {
		r, size := utf8.DecodeRuneInString(id[i:])
		if isPlain(r, size) && (r != '.' || i > 0) {
			name.WriteString(id[i : i+size])
		} else {
			for _, b := range []byte(id[i : i+size]) {
				name.Write([]byte{'%', hexDigits[b>>4], hexDigits[b&0xf]})
			}
		}
		i += size
	}
	return name.String()
}

// isPlain tells whether a character stands for itself in a file name. A byte that is
// not UTF-8 decodes as RuneError of size one; JSON could not carry it.
func isPlain(r rune, size int) bool {
	return r != '/' && r != '%' && strconv.IsPrint(r) && (r != utf8.RuneError || size > 1)
}

// cut shortens an encoded name to at most size bytes, without splitting a character
// or an escape.
func cut(name string, size int) string {
	for !utf8.RuneStart(name[size]) {
		size--
	}
	if escape := strings.LastIndexByte(name[:size], '%'); escape > size-3 {
		size = max(escape, 0)
	}
	return name[:size]
}
