package layout

import (
	"fmt"
	"strconv"
	"time"

	"github.com/leoflow/secrets-csi/internal/jsontext"
)

// decode takes a manifest apart token by token. To decode into the struct, encoding/json first
// examines its types by reflection: of the 1.5 ms that 'agent exec' may add to a program's start,
// that took 0.1.
func decode(data []byte) (Manifest, error) {
	value, err := jsontext.Parse(data)
	if err != nil {
		return Manifest{}, err
	}
	var fault error
	o := asObject(&fault, "the manifest", value)
	manifest := Manifest{Schema: int(o.number("schema")), Generation: uint64(o.number("generation"))}
	if manifest.Schema > Schema {
		return manifest, nil // whatever else is in it: validate says that it is newer
	}
	manifest.Fetched, manifest.StaleAfter, manifest.Offline = o.time("fetched"), o.number("stale_after"), o.flag("offline")
	entries := o.list("entries")
	manifest.Entries = make([]Entry, len(entries))
	for i, each := range entries {
		manifest.Entries[i] = asObject(&fault, "one of entries", each).entry()
	}
	for _, each := range o.list("identities") {
		manifest.Identities = append(manifest.Identities, asObject(&fault, "one of identities", each).identity())
	}
	return manifest, fault
}

func (o object) identity() Identity {
	made := Identity{Cloud: o.text("cloud"), Audience: o.text("audience"), Token: o.text("token"), Config: o.text("config")}
	for _, each := range o.list("variables") {
		v := asObject(o.fault, "one of variables", each)
		made.Variables = append(made.Variables, IdentityVariable{v.text("name"), v.text("value"), v.text("file")})
	}
	for _, each := range o.list("annotations") {
		made.Annotations = append(made.Annotations, o.word("one of annotations", each))
	}
	return made
}

func (o object) entry() Entry {
	entry := Entry{
		Kind: Kind(o.text("kind")), ID: o.text("id"), State: State(o.text("state")), Required: o.flag("required"),
		Env: o.text("env"), File: o.text("file"), Version: o.text("version"), Source: o.text("source"), Rule: o.text("rule"),
		Identity: o.text("identity"),
	}
	if value, isThere := o.value("held"); isThere {
		held := asObject(o.fault, "held", value)
		entry.Held = &Held{held.time("since"), held.text("why")}
	}
	if value, isThere := o.value("grade"); isThere {
		grade := asObject(o.fault, "grade", value)
		entry.Grade = &Grade{grade.text("state"), grade.text("reason")}
	}
	for _, each := range o.list("notices") {
		notice := asObject(o.fault, "one of notices", each)
		entry.Notices = append(entry.Notices, Notice{notice.text("code"), notice.text("message")})
	}
	return entry
}

// object is a JSON object. A member that is not there, or is null, is the zero value. The first one
// that is not what is asked for is the fault.
type object struct {
	fault   *error
	members []jsontext.Member
}

func asObject(fault *error, name string, value jsontext.Item) (o object) {
	o.fault = fault
	if !value.IsObject() {
		o.fail(name, "an object")
		return o
	}
	var err error
	if o.members, err = value.Members(); err != nil {
		o.fail("a key of "+name, "text")
	}
	return o
}

func (o object) fail(name, wanted string) {
	if *o.fault == nil {
		*o.fault = fmt.Errorf("%s is not %s", name, wanted)
	}
}

func (o object) value(name string) (value jsontext.Item, isThere bool) {
	for _, member := range o.members {
		if member.Key == name && string(member.Value) != "null" {
			return member.Item, true
		}
	}
	return value, false
}

func (o object) text(name string) string {
	value, isThere := o.value(name)
	if !isThere {
		return ""
	}
	return o.word(name, value)
}

func (o object) word(name string, value jsontext.Item) string {
	if value.Value[0] == '"' {
		if text, err := value.Text(); err == nil {
			return text
		}
	}
	o.fail(name, "text")
	return ""
}

func (o object) flag(name string) bool {
	value, isThere := o.value(name)
	isTrue := isThere && string(value.Value) == "true"
	if isThere && !isTrue && string(value.Value) != "false" {
		o.fail(name, "true or false")
	}
	return isTrue
}

func (o object) number(name string) int64 {
	value, isThere := o.value(name)
	if !isThere {
		return 0
	}
	number, err := strconv.ParseUint(string(value.Value), 10, 63)
	if err != nil {
		o.fail(name, "a count")
	}
	return int64(number)
}

func (o object) time(name string) (at time.Time) {
	if _, isThere := o.value(name); isThere && at.UnmarshalText([]byte(o.text(name))) != nil {
		o.fail(name, "a time as in RFC 3339")
	}
	return at
}

func (o object) list(name string) []jsontext.Item {
	value, isThere := o.value(name)
	if !isThere {
		return nil
	}
	if value.Value[0] != '[' {
		o.fail(name, "a list")
		return nil
	}
	return value.Items()
}
