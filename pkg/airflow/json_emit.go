package airflow

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON is the connection as one JSON object: the value of AIRFLOW_CONN_<ID>, and the
// value beside the id in the file of Airflow's LocalFilesystemBackend, which takes
// conn_type and port as they stand and normalises nothing. Absent fields are left
// out. It is ASCII, so that it reads the same under every locale.
//
// It is exact for a connection that Validate accepts.
func (c Connection) JSON() []byte {
	out := make([]byte, 0, 256)
	out = append(out, `{"conn_type":`...)
	out = appendString(out, NormalizeType(c.Type))
	out = appendField(out, "description", c.Description)
	out = appendField(out, "host", c.Host)
	out = appendField(out, "login", c.Login)
	if c.Password != nil {
		password := c.Password.Reveal()
		out = appendField(out, "password", &password)
	}
	out = appendField(out, "schema", c.Schema)
	if c.Port != nil {
		out = append(out, `,"port":`...)
		out = strconv.AppendUint(out, uint64(*c.Port), 10)
	}
	if c.Extra != nil && c.Extra.Len() > 0 {
		out = append(out, `,"extra":`...)
		out = appendExtra(out, c.Extra.Reveal())
	}
	return append(out, '}')
}

func appendField(out []byte, name string, text *string) []byte {
	if text == nil {
		return out
	}
	out = append(out, ',', '"')
	out = append(out, name...)
	out = append(out, '"', ':')
	return appendString(out, *text)
}

// appendExtra writes an object as an object, with its native types. Airflow drops an
// empty one and keeps the text "{}", so that stays text.
func appendExtra(out []byte, text string) []byte {
	if text == "{}" || checkExtra(text) != nil {
		return appendString(out, text)
	}
	return appendCanonical(out, text)
}

func appendString(out []byte, text string) []byte {
	out = append(out, '"')
	for _, char := range text {
		switch {
		case char == '"' || char == '\\':
			out = append(out, '\\', byte(char))
		case char < ' ' || char >= utf8.RuneSelf:
			out = appendEscaped(out, char)
		default:
			out = append(out, byte(char))
		}
	}
	return append(out, '"')
}

func appendEscaped(out []byte, char rune) []byte {
	if high, low := utf16.EncodeRune(char); high != utf8.RuneError {
		return appendEscaped(appendEscaped(out, high), low)
	}
	const hex = "0123456789abcdef"
	return append(out, '\\', 'u', hex[char>>12&15], hex[char>>8&15], hex[char>>4&15], hex[char&15])
}
