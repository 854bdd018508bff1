package audit

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// appendLine appends the record as encoding/json would write it, and a newline. Records are
// a good part of what a small answer costs, and reflection was most of that.
func appendLine(line []byte, r *Record) []byte {
	line = append(line, `{"time":"`...)
	line = r.Time.AppendFormat(line, time.RFC3339Nano)
	line = append(line, '"')
	for _, field := range [...]struct{ name, value string }{
		{"request", r.Request}, {"method", r.Method}, {"peer", r.Peer}, {"driver_node", r.DriverNode},
		{"namespace", r.Namespace}, {"service_account", r.ServiceAccount}, {"pod", r.Pod}, {"pod_uid", r.PodUID},
		{"node", r.Node}, {"cluster", r.Cluster}, {"token_id", r.TokenID}, {"subject", r.Subject}, {"tenant", r.Tenant}, {"dag", r.DAG},
		{"run", r.Run}, {"task", r.Task},
	} {
		line = appendText(line, field.name, field.value)
	}
	line = appendNumber(line, "try", r.Try)
	line = appendText(line, "certificate", r.Certificate)
	if r.Direct {
		line = append(line, `,"direct":true`...)
	}
	for _, field := range [...]struct{ name, value string }{
		{"kind", string(r.Kind)}, {"entry", r.Entry}, {"team", r.Team}, {"version", r.Version},
		{"decision", string(r.Decision)}, {"outcome", string(r.Outcome)},
	} {
		line = appendText(line, field.name, field.value)
	}
	line = appendNumber(line, "count", r.Count)
	line = appendText(line, "detail", r.Detail)
	return append(line, '}', '\n')
}

func appendNumber(line []byte, name string, value int) []byte {
	if value == 0 {
		return line
	}
	line = append(append(append(line, `,"`...), name...), `":`...)
	return strconv.AppendInt(line, int64(value), 10)
}

func appendText(line []byte, name, value string) []byte {
	if value == "" {
		return line
	}
	line = append(append(append(line, `,"`...), name...), `":`...)
	if isPlain(value) {
		return append(append(append(line, '"'), value...), '"')
	}
	var quoted bytes.Buffer
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // a string is always encoded
	return append(line, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
}

// isPlain tells a text that stands in JSON as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
