package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/mount/layout/filename"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// maxEnvString is what Linux takes for one environment string, name, "=" and the NUL
// at the end included (MAX_ARG_STRLEN, 32 pages of 4 KiB).
const maxEnvString = 131_072

// draft is an entry on its way into the volume.
type draft struct {
	name  provider.Name
	entry layout.Entry
	// value is the file's content, json the entry's value in the file for
	// LocalFilesystemBackend, nil where it must not stand there. Both are secrets.
	value, json []byte
	// problem says why the entry cannot be rendered; it holds no value.
	problem string
}

func draftConnection(format Format, c Connection) draft {
	conn := c.Connection
	d := newDraft(provider.Connection, conn.ID, layout.ConnectionsDir, c.Version, c.Source, c.Notices)
	d.entry.Grade = c.Grade
	env, err := airflow.ConnectionEnvName(conn.ID)
	if err != nil {
		d.problem = err.Error()
		return d
	}
	d.entry.Env = env
	if err := conn.Validate(); err != nil {
		d.problem = err.Error()
		return d
	}
	d.json = conn.JSON()
	d.value = d.json
	if format == URI {
		d.renderURI(conn)
	}
	if conn.HasPlainExtra() {
		d.json = nil
		d.notice(layout.NoticeExtraIsText, "the extra is no JSON object: Airflow 2 and a task of Airflow 3 read it from the environment, and it is not in "+
			layout.ConnectionsJSON+", where Airflow 3 would fail over it at every look-up of any connection; store an object")
	}
	d.checkValue()
	return d
}

// renderURI replaces the JSON value by a URI where one can carry the connection.
func (d *draft) renderURI(conn airflow.Connection) {
	uri, err := conn.URI()
	switch {
	case errors.Is(err, airflow.ErrNotURI):
		d.notice("delivered-as-json", err.Error()+"; it is delivered as JSON, which Airflow reads just as well")
	case err != nil:
		d.problem = err.Error()
	default:
		d.value = []byte(uri)
	}
}

func draftVariable(v Variable) draft {
	d := newDraft(provider.Variable, v.Key, layout.VariablesDir, v.Version, v.Source, v.Notices)
	env, err := airflow.VariableEnvName(v.Key)
	if err != nil {
		d.problem = err.Error()
		return d
	}
	d.entry.Env = env
	d.value = []byte(v.Value.Reveal())
	d.json = quoteJSON(v.Value.Reveal())
	d.checkValue()
	return d
}

func newDraft(kind provider.Kind, id, dir, version, source string, notices []layout.Notice) draft {
	return draft{
		name: provider.Name{Kind: kind, ID: id},
		entry: layout.Entry{
			Kind: string(kind), ID: id, State: layout.Delivered,
			File:    dir + "/" + filename.Of(id),
			Version: version, Source: source, Notices: slices.Clone(notices),
		},
	}
}

func (d *draft) notice(code, message string) {
	d.entry.Notices = append(d.entry.Notices, layout.Notice{Code: code, Message: message})
}

// checkValue refuses what no environment variable can carry and remarks on what is
// too long for one but still of use as a file.
func (d *draft) checkValue() {
	value := string(d.value)
	switch {
	case d.problem != "":
	case strings.IndexByte(value, 0) >= 0:
		d.problem = "the value holds a NUL byte, which no environment variable can carry"
	case !utf8.ValidString(value):
		d.problem = "the value is not UTF-8"
	case len(d.entry.Env)+len("=")+len(value)+len("\x00") > maxEnvString:
		d.notice(layout.NoticeTooLong, fmt.Sprintf(
			"%d bytes do not fit into one environment variable (%d with its name): read the file %s instead",
			len(value), maxEnvString, d.entry.File))
	}
}

// object builds a JSON object member by member, in the order of the calls.
type object struct{ text []byte }

func (o *object) add(key string, value []byte) {
	if len(o.text) > 0 {
		o.text = append(o.text, ",\n"...)
	}
	o.text = append(o.text, quoteJSON(key)...)
	o.text = append(o.text, ": "...)
	o.text = append(o.text, value...)
}

func (o *object) bytes() []byte {
	if len(o.text) == 0 {
		return []byte("{}\n")
	}
	return slices.Concat([]byte("{\n"), o.text, []byte("\n}\n"))
}

// quoteJSON is a JSON string without the escaping that only HTML needs.
func quoteJSON(s string) []byte {
	var buffer strings.Builder
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	// A string always encodes.
	_ = encoder.Encode(s)
	return []byte(strings.TrimSuffix(buffer.String(), "\n"))
}
