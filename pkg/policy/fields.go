package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// fields is an extra: a JSON object whose order and whose unread values stay as they
// were written, numbers included. A repeated name keeps its first place and its last
// value, which is the one Python reads.
type fields []field

type field struct {
	name  string
	value json.RawMessage
}

var errNotObject = errors.New("not a JSON object")

func parseFields(text string) (fields, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, errNotObject
	}
	var parsed fields
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, errNotObject
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, errNotObject
		}
		parsed.set(name.(string), value)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errNotObject
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errNotObject
	}
	return parsed, nil
}

func (f fields) index(name string) int {
	return slices.IndexFunc(f, func(one field) bool { return one.name == name })
}

// get returns nil where the field is absent.
func (f fields) get(name string) json.RawMessage {
	if at := f.index(name); at >= 0 {
		return f[at].value
	}
	return nil
}

func (f *fields) set(name string, value json.RawMessage) {
	if at := f.index(name); at >= 0 {
		(*f)[at].value = value
		return
	}
	*f = append(*f, field{name, value})
}

// remove says whether there was anything to remove.
func (f *fields) remove(name string) bool {
	before := len(*f)
	*f = slices.DeleteFunc(*f, func(one field) bool { return one.name == name })
	return len(*f) != before
}

// rename keeps the field's place.
func (f *fields) rename(from, to string) {
	if from != to {
		f.remove(to)
		(*f)[f.index(from)].name = to
	}
}

func (f fields) encode() string {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, one := range f {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(quote(one.name))
		out.WriteByte(':')
		out.Write(one.value)
	}
	out.WriteByte('}')
	return out.String()
}

// quote writes text as JSON and leaves <, > and & alone.
func quote(text string) json.RawMessage {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string always encodes, and a buffer always takes it
	return bytes.TrimRight(out.Bytes(), "\n")
}

// text returns the value of a JSON string.
func text(value json.RawMessage) (string, bool) {
	var parsed string
	if len(value) == 0 || value[0] != '"' || json.Unmarshal(value, &parsed) != nil {
		return "", false
	}
	return parsed, true
}

// isEmpty tells the values that say nothing: absent, null, "", {}, [] and the text
// "{}", which forms save for an untouched keyfile.
func isEmpty(value json.RawMessage) bool {
	switch string(value) {
	case "", "null", `""`, `"{}"`:
		return true
	}
	return (value[0] == '{' || value[0] == '[') && len(bytes.TrimSpace(value[1:len(value)-1])) == 0
}

// isTrue is Python's truth of a value, by which upstream decides whether a
// credential is set. The text "false" is true.
func isTrue(value json.RawMessage) bool {
	if isEmpty(value) {
		return false
	}
	switch value[0] {
	case '"', '{', '[', 't':
		return true
	case 'f':
		return false
	}
	number, err := strconv.ParseFloat(string(value), 64)
	return err != nil || number != 0
}
