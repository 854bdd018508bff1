package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/leoflow/secrets-csi/internal/jsontext"
)

// fields is an extra: a JSON object whose order and whose unread values stay as they
// were written, numbers included. A repeated name keeps its first place and its last
// value, which is the one Python reads.
type fields []field

type field struct {
	name  string
	value json.RawMessage
}

// parseFields says in its error what stands where an object should, and what to do.
func parseFields(object string) (fields, error) {
	whole, err := jsontext.Parse([]byte(object))
	if err != nil || !whole.IsObject() {
		return nil, notObject(object)
	}
	members, err := whole.Members()
	if err != nil {
		return nil, notObject(object)
	}
	split := make(fields, len(members))
	for i, member := range members {
		split[i] = field{member.Key, member.Value}
	}
	return split.withoutRepeats(), nil
}

func notObject(written string) error {
	isJSON := func(text string) bool { _, err := jsontext.Parse([]byte(text)); return err == nil }
	inner, isText := text(json.RawMessage(written))
	switch {
	case isText && isJSON(inner):
		return errors.New("is JSON text inside a JSON string; store the object itself")
	case isJSON(written):
		return errors.New("is JSON but not an object; hooks read named fields, so store an object")
	}
	return errors.New("is not JSON; store a JSON object")
}

// withoutRepeats takes one look at each field: whoever writes a connection says how many
// there are.
func (f fields) withoutRepeats() fields {
	places := make(map[string]int, len(f))
	kept := f[:0]
	for _, one := range f {
		if at, repeated := places[one.name]; repeated {
			kept[at].value = one.value
			continue
		}
		places[one.name] = len(kept)
		kept = append(kept, one)
	}
	return kept
}

// index finds a name that is written with a prefix. It is asked so often that the two
// are not put together for it.
func (f fields) index(prefix, name string) int {
	return slices.IndexFunc(f, func(one field) bool {
		return len(one.name) == len(prefix)+len(name) && one.name[:len(prefix)] == prefix && one.name[len(prefix):] == name
	})
}

// get returns nil where the field is absent.
func (f fields) get(name string) json.RawMessage {
	if at := f.index("", name); at >= 0 {
		return f[at].value
	}
	return nil
}

func (f *fields) set(name string, value json.RawMessage) {
	if at := f.index("", name); at >= 0 {
		(*f)[at].value = value
		return
	}
	*f = append(*f, field{name, value})
}

// setPair gives two names one value, side by side in the place of the first of them.
func (f *fields) setPair(name, other string, value json.RawMessage) {
	place := len(*f)
	for _, each := range []string{name, other} {
		if at := f.index("", each); at >= 0 {
			place = min(place, at)
		}
	}
	f.remove("", name)
	f.remove("", other)
	*f = slices.Insert(*f, min(place, len(*f)), field{name, value}, field{other, value})
}

// remove says whether there was anything to remove.
func (f *fields) remove(prefix, name string) bool {
	at := f.index(prefix, name)
	if at >= 0 {
		*f = slices.Delete(*f, at, at+1)
	}
	return at >= 0
}

// rename keeps the field's place.
func (f *fields) rename(from, to string) {
	if from != to {
		f.remove("", to)
		(*f)[f.index("", from)].name = to
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

func quote(text string) json.RawMessage { return jsontext.AppendText(nil, text) }

// text returns the value of a JSON string.
func text(value json.RawMessage) (string, bool) {
	var parsed string
	if len(value) == 0 || value[0] != '"' || json.Unmarshal(value, &parsed) != nil {
		return "", false
	}
	return parsed, true
}

// isText says whether a value is a JSON string with something in it.
func isText(value json.RawMessage) bool { return len(value) > 2 && value[0] == '"' }

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
