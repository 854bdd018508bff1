package render

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/mount/layout/filename"
)

// maxEnvString is what Linux takes for one environment string, name, "=" and the NUL
// at the end included (MAX_ARG_STRLEN, 32 pages of 4 KiB).
const maxEnvString = 131_072

// render says in its error why the entry cannot be rendered; it holds no value.
func render(format Format, e *entry.Entry) error {
	dir, name, values := layout.VariablesDir, airflow.VariableEnvName, valuesOfVariable
	if e.Kind == entry.Connection {
		dir, name, values = layout.ConnectionsDir, airflow.ConnectionEnvName, valuesOfConnection
	}
	env, err := name(e.ID)
	if err != nil {
		return err
	}
	e.Env, e.File = env, dir+"/"+filename.Of(e.ID)
	if err := values(format, e); err != nil {
		return err
	}
	return checkValue(e)
}

func valuesOfConnection(format Format, e *entry.Entry) error {
	conn := e.Connection
	if err := conn.Validate(); err != nil {
		return err
	}
	e.JSON = conn.JSON()
	e.Value = e.JSON
	if format == URI {
		uri, err := conn.URI()
		switch {
		case errors.Is(err, airflow.ErrNotURI):
			e.Remark("delivered-as-json", err.Error()+"; it is delivered as JSON, which Airflow reads just as well")
		case err != nil:
			return err
		default:
			e.Value = []byte(uri)
		}
	}
	if conn.HasPlainExtra() {
		e.JSON = nil
		e.Remark(layout.NoticeExtraIsText, "the extra is no JSON object: Airflow 2 and a task of Airflow 3 read it from the environment, and it is not in "+
			layout.ConnectionsJSON+", where Airflow 3 would fail over it at every look-up of any connection; store an object")
	}
	return nil
}

func valuesOfVariable(_ Format, e *entry.Entry) error {
	e.Value = []byte(e.Text.Reveal())
	e.JSON = jsontext.AppendText(nil, e.Text.Reveal())
	return nil
}

// checkValue refuses what no environment variable can carry and remarks on what is
// too long for one but still of use as a file.
func checkValue(e *entry.Entry) error {
	switch {
	case bytes.IndexByte(e.Value, 0) >= 0:
		return errors.New("the value holds a NUL byte, which no environment variable can carry")
	case !utf8.Valid(e.Value):
		return errors.New("the value is not UTF-8")
	case len(e.Env)+len("=")+len(e.Value)+len("\x00") > maxEnvString:
		e.Remark(layout.NoticeTooLong, fmt.Sprintf(
			"%d bytes do not fit into one environment variable (%d with its name): read the file %s instead",
			len(e.Value), maxEnvString, e.File))
	}
	return nil
}
