package envshim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Format is a way to write entries down, values included.
type Format string

// The formats have in common that no byte of a value or a name can end its quotation.
const (
	// JSON is one object of names and values.
	JSON Format = "json"
	// Export is what a POSIX shell evaluates.
	Export Format = "export"
	// Kubelet is what kubelet reads for env[].valueFrom.fileKeyRef.
	Kubelet Format = "kubelet"
)

// IsKnown tells whether Write can write in the format.
func (f Format) IsKnown() bool { return f == JSON || f == Export || f == Kubelet }

// Write writes entries down, or nothing if the format cannot give one of them back byte for
// byte.
func (f Format) Write(out io.Writer, entries []Entry) error {
	faults := Faults(entries)
	lines := make([]string, 0, len(entries))
	for _, entry := range entries {
		line, err := f.line(entry.Env, entry.Value.Reveal())
		if err != nil {
			faults = append(faults, fmt.Errorf("%s %q: %w", entry.Kind, entry.ID, err))
		}
		lines = append(lines, line)
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	_, err := io.WriteString(out, f.join(lines))
	return err
}

func (f Format) join(lines []string) string {
	if f == JSON {
		return "{\n  " + strings.Join(lines, ",\n  ") + "\n}\n"
	}
	return strings.Join(append(lines, ""), "\n")
}

func (f Format) line(name, value string) (string, error) {
	switch f {
	case Export:
		if !isShellName(name) {
			return "", fmt.Errorf("no shell can set %s; use json, or 'agent exec'", OnOneLine(name))
		}
		return "export " + name + "='" + strings.ReplaceAll(value, "'", `'\''`) + "'", nil
	case JSON:
		return jsonMember(name, value)
	case Kubelet:
		return kubeletLine(name, value)
	}
	return "", fmt.Errorf("format %q is not known: json, export or kubelet", string(f))
}

func jsonMember(name, value string) (string, error) {
	if !utf8.ValidString(value) {
		return "", errors.New("a value that is not UTF-8 does not fit the format json")
	}
	quotedName, nameErr := json.Marshal(name)
	quotedValue, valueErr := json.Marshal(value)
	return string(quotedName) + ": " + string(quotedValue), errors.Join(nameErr, valueErr)
}
