package policy

import (
	"encoding/json"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// draft is a connection being rewritten. Its extra is parsed once and, if anything
// in it changed, written once.
type draft struct {
	conn    airflow.Connection
	extra   fields
	changed bool
	// prefix is that of the legacy names, such as "extra__wasb__"; empty where the
	// connection type has none.
	prefix  string
	notices []entry.Notice
}

func open(conn airflow.Connection, prefix string) (*draft, error) {
	d := &draft{conn: conn, prefix: prefix}
	if conn.Extra == nil || strings.TrimSpace(conn.Extra.Reveal()) == "" {
		return d, nil
	}
	parsed, err := parseFields(conn.Extra.Reveal())
	if err != nil {
		return nil, refuse("extra", err.Error())
	}
	d.extra = parsed
	return d, nil
}

// close returns the connection to deliver. An untouched extra keeps its bytes.
func (d *draft) close() airflow.Connection {
	if !d.changed {
		return d.conn
	}
	d.conn.Extra = nil
	if len(d.extra) > 0 {
		d.conn.Extra = new(secret.New(d.extra.encode()))
	}
	return d.conn
}

// find returns a field's value and the name it was written under: the short name, or
// the legacy one where the short one is absent or empty. Upstream stops at a short
// name that is merely present, so that an empty one would hide the legacy value.
func (d *draft) find(name string) (value json.RawMessage, written string) {
	for _, prefix := range [...]string{"", d.prefix} {
		if at := d.extra.index(prefix, name); at >= 0 && !isEmpty(d.extra[at].value) {
			return d.extra[at].value, d.extra[at].name
		}
	}
	return nil, name
}

// has says whether upstream would take the field as set.
func (d *draft) has(name string) bool {
	value, _ := d.find(name)
	return isTrue(value)
}

// read returns a field that has to be text; "" where it is not set.
func (d *draft) read(name string) (string, error) {
	value, written := d.find(name)
	if !isTrue(value) {
		return "", nil
	}
	parsed, ok := text(value)
	if !ok || strings.TrimSpace(parsed) == "" {
		return "", refuse("extra."+written, "is not a text with something in it; write it as a JSON string")
	}
	return parsed, nil
}

type target struct {
	field string
	to    *string
}

// readInto reads text fields in order, up to the first that is not text.
func (d *draft) readInto(targets ...target) error {
	for _, one := range targets {
		value, err := d.read(one.field)
		if err != nil {
			return err
		}
		*one.to = value
	}
	return nil
}

// drop deletes fields in both spellings.
func (d *draft) drop(names ...string) {
	for _, name := range names {
		short, legacy := d.extra.remove("", name), d.extra.remove(d.prefix, name)
		d.changed = d.changed || short || legacy
	}
}

func (d *draft) put(name string, value json.RawMessage) {
	d.extra.set(name, value)
	d.changed = true
}

// respell leaves a field under one name alone, or nowhere if it is empty.
func (d *draft) respell(name, to string) {
	value, written := d.find(name)
	if value == nil {
		d.drop(name)
		return
	}
	for _, prefix := range [...]string{"", d.prefix} {
		if at := d.extra.index(prefix, name); at >= 0 && d.extra[at].name != written {
			d.extra.remove(prefix, name)
			d.changed = true
		}
	}
	if written != to {
		d.extra.rename(written, to)
		d.changed = true
	}
}

// spellBoth leaves a field under both of its names with one value, or nowhere if it is
// empty: hooks before 2023 look for the legacy name alone, code that reads the connection
// itself for the short one, and newer hooks take the short one without a word.
func (d *draft) spellBoth(name string) {
	value, _ := d.find(name)
	if value == nil {
		d.drop(name)
		return
	}
	if string(d.extra.get(name)) == string(value) && string(d.extra.get(d.prefix+name)) == string(value) {
		return
	}
	d.extra.setPair(name, d.prefix+name, value)
	d.changed = true
}

// keepKeyPath is for a key file in the container, of which hooks read JSON alone.
func keepKeyPath(d *draft) (choice, error) {
	path, err := d.read("key_path")
	if err != nil {
		return choice{}, err
	}
	if _, written := d.find("key_path"); !strings.HasSuffix(path, ".json") {
		return choice{}, refuse("extra."+written, "does not end in .json, and the hook reads no other key file; give the JSON key's path")
	}
	return choice{grade: runtime("key_path is read when the task runs")}, nil
}

func hasLogin(conn airflow.Connection) bool { return conn.Login != nil && *conn.Login != "" }

func hasPassword(conn airflow.Connection) bool {
	return conn.Password != nil && conn.Password.Len() > 0
}

func hasHost(conn airflow.Connection) bool { return conn.Host != nil && *conn.Host != "" }
