package envshim

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Shape is one connection in the words of another program, besides Airflow's: the fields of it as
// variables of their own.
type Shape struct {
	ID string
	// Optional is set if a program can do without the connection.
	Optional bool
	words    func(fields) (map[string]string, error)
}

// ParseShapes reads a list such as "libpq=warehouse, fields=mart?".
func ParseShapes(text string) (shapes []Shape, err error) {
	for item := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(item) == "" {
			continue
		}
		name, id, _ := strings.Cut(strings.TrimSpace(item), "=")
		shape := Shape{}
		shape.ID, shape.Optional = strings.CutSuffix(id, "?")
		switch name {
		case "libpq":
			shape.words = libpq
		case "fields":
			shape.words = prefixed
		}
		if shape.words == nil || shape.ID == "" {
			return nil, fmt.Errorf("%q is neither libpq=CONN_ID nor fields=CONN_ID", item)
		}
		shapes = append(shapes, shape)
	}
	return shapes, nil
}

// Missing are the errors of shapes whose connection a program cannot do without, and that is not
// there.
func (s Snapshot) Missing(shapes []Shape) error {
	var faults []error
	for _, shape := range shapes {
		if entry := s.connection(shape.ID); !shape.Optional && (entry == nil || entry.State != layout.Delivered) {
			state := layout.State("not asked for")
			if entry != nil {
				state = entry.State
			}
			faults = append(faults, fmt.Errorf("--as: connection %q is %s", shape.ID, state))
		}
	}
	return errors.Join(faults...)
}

func (s Snapshot) connection(id string) *layout.Entry {
	for i := range s.Manifest.Entries {
		if entry := &s.Manifest.Entries[i]; entry.Kind == layout.Connection && entry.ID == id {
			return entry
		}
	}
	return nil
}

// fields are a connection's, as airflow/connections.json has them. Extras that are no text are
// as JSON writes them.
type fields struct {
	id, connType, host, login, password, schema, port string
	extra                                             map[string]string
}

// shaped are the entries that the shapes make of the connections in the generation.
func (s Snapshot) shaped(files *files, shapes []Shape) (entries []Entry, err error) {
	lines := map[string]json.RawMessage{}
	if len(shapes) > 0 {
		text, err := files.read(layout.ConnectionsJSON, maxTotalSize)
		if err == nil && json.Unmarshal(text, &lines) != nil { // whose own error could quote a value
			err = errors.New("it is no JSON object")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", layout.ConnectionsJSON, err)
		}
	}
	for _, shape := range shapes {
		of := s.connection(shape.ID)
		if of == nil || of.State != layout.Delivered {
			continue
		}
		line, isThere := lines[shape.ID]
		if !isThere { // layout.NoticeExtraIsText
			return nil, fmt.Errorf("--as: connection %q has an extra that is no JSON object, and no fields to name", shape.ID)
		}
		words, err := shape.of(line)
		if err != nil {
			return nil, fmt.Errorf("--as: connection %q %w", shape.ID, err)
		}
		for _, name := range slices.Sorted(maps.Keys(words)) {
			entry := Entry{Entry: layout.Entry{Kind: layout.Connection, ID: shape.ID, State: layout.Delivered, Env: name, Required: true}, Value: secret.New(words[name])}
			entry.isShaped = true
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

func (s Shape) of(line []byte) (map[string]string, error) {
	var object struct {
		ConnType string          `json:"conn_type"`
		Host     string          `json:"host"`
		Login    string          `json:"login"`
		Password string          `json:"password"`
		Schema   string          `json:"schema"`
		Port     json.Number     `json:"port"`
		Extra    json.RawMessage `json:"extra"`
	}
	if json.Unmarshal(line, &object) != nil {
		return nil, fmt.Errorf("is not as Airflow writes one in %s", layout.ConnectionsJSON)
	}
	extra := map[string]json.RawMessage{}
	if len(object.Extra) > 0 && object.Extra[0] == '{' && json.Unmarshal(object.Extra, &extra) != nil {
		return nil, errors.New("has an extra that cannot be read")
	}
	of := fields{
		id: s.ID, connType: object.ConnType, host: object.Host, login: object.Login, password: object.Password,
		schema: object.Schema, port: object.Port.String(), extra: map[string]string{},
	}
	for key, value := range extra {
		text := ""
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		of.extra[key] = text
	}
	words, err := s.words(of)
	maps.DeleteFunc(words, func(_, text string) bool { return text == "" })
	return words, err
}

// libpqVariables are libpq's keywords that a connection's extra may have and that it reads from the
// environment (PostgreSQL's manual, "Environment Variables"). Airflow's hook hands the extra on as
// keywords.
var libpqVariables = map[string]string{
	"hostaddr": "PGHOSTADDR", "options": "PGOPTIONS", "application_name": "PGAPPNAME", "service": "PGSERVICE",
	"passfile": "PGPASSFILE", "connect_timeout": "PGCONNECT_TIMEOUT", "client_encoding": "PGCLIENTENCODING",
	"sslmode": "PGSSLMODE", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "sslrootcert": "PGSSLROOTCERT",
	"sslcrl": "PGSSLCRL", "sslcrldir": "PGSSLCRLDIR", "sslsni": "PGSSLSNI", "sslnegotiation": "PGSSLNEGOTIATION",
	"sslcertmode": "PGSSLCERTMODE", "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
	"ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION", "channel_binding": "PGCHANNELBINDING",
	"require_auth": "PGREQUIREAUTH", "requirepeer": "PGREQUIREPEER", "gssencmode": "PGGSSENCMODE",
	"krbsrvname": "PGKRBSRVNAME", "target_session_attrs": "PGTARGETSESSIONATTRS", "load_balance_hosts": "PGLOADBALANCEHOSTS",
}

// libpq is what psql, pg_dump and whatever else is built upon libpq read.
func libpq(of fields) (map[string]string, error) {
	switch {
	case of.connType != "postgres" && of.connType != "redshift":
		return nil, fmt.Errorf("is of type %q; libpq takes postgres or redshift", of.connType)
	case of.extra["iam"] == "true" || of.extra["iam"] == "True":
		return nil, errors.New(`has "iam" in its extra: Airflow's hook makes the password anew each time, and libpq cannot`)
	}
	words := map[string]string{"PGHOST": of.host, "PGPORT": of.port, "PGUSER": of.login, "PGPASSWORD": of.password, "PGDATABASE": of.schema}
	for keyword, name := range libpqVariables {
		words[name] = of.extra[keyword]
	}
	return words, nil
}

// prefixed is each field under the connection's id: MART_HOST, MART_PASSWORD, MART_EXTRA_SSLMODE.
func prefixed(of fields) (map[string]string, error) {
	prefix := inShellLetters(of.id)
	words := map[string]string{
		prefix + "_CONN_TYPE": of.connType, prefix + "_HOST": of.host, prefix + "_PORT": of.port,
		prefix + "_LOGIN": of.login, prefix + "_PASSWORD": of.password, prefix + "_SCHEMA": of.schema,
	}
	for _, key := range slices.Sorted(maps.Keys(of.extra)) {
		name := prefix + "_EXTRA_" + inShellLetters(key)
		if _, isTaken := words[name]; isTaken {
			return nil, fmt.Errorf("has two fields in its extra that both become %s: rename one", name)
		}
		if of.extra[key] != "null" {
			words[name] = of.extra[key]
		}
	}
	return words, nil
}

// inShellLetters is a name as every shell can hold it.
func inShellLetters(text string) string {
	return strings.Map(func(char rune) rune {
		if !isShellName(string(char)) {
			return '_'
		}
		return char
	}, strings.ToUpper(text))
}
