package airflow

import (
	"strconv"

	"github.com/leoflow/secrets-csi/internal/jsontext"
)

// JSON is the connection as one JSON object: the value of AIRFLOW_CONN_<ID>, and the
// value beside the id in the file of Airflow's LocalFilesystemBackend, which takes
// conn_type and port as they stand and normalises nothing. Absent fields are left
// out. It is ASCII, so that it reads the same under every locale.
//
// It is exact for a connection that Validate accepts, but that many versions of Airflow
// take port 0 for none.
func (c Connection) JSON() []byte {
	out := make([]byte, 0, 256)
	out = append(out, `{"conn_type":`...)
	out = jsontext.AppendText(out, NormalizeType(c.Type))
	out = appendField(out, "description", c.Description)
	out = appendField(out, "host", c.Host)
	out = appendField(out, "login", c.Login)
	if c.Password != nil {
		out = appendField(out, "password", new(c.Password.Reveal()))
	}
	out = appendField(out, "schema", c.Schema)
	if c.Port != nil {
		out = append(out, `,"port":`...)
		out = strconv.AppendUint(out, uint64(*c.Port), 10)
	}
	if extra := revealed(c.Extra); extra != "" {
		out = appendExtra(append(out, `,"extra":`...), extra)
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
	return jsontext.AppendText(out, *text)
}

// appendExtra writes an object as an object, with its native types. Airflow drops an
// empty one and keeps the text "{}", so that stays text.
func appendExtra(out []byte, text string) []byte {
	object, isObject, _ := readExtra(text)
	if text == "{}" || !isObject {
		return jsontext.AppendText(out, text)
	}
	return object.AppendCompact(out)
}
