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

// Formats. Each refuses what its readers would not read back byte for byte.
const (
	// Plain is NAME=value without quotes, as Airflow's own .env files, docker
	// --env-file and env(1) have it.
	Plain Format = "plain"
	// Dotenv is NAME='value', within what the common dotenv readers agree on.
	Dotenv Format = "dotenv"
	// JSON is one object of names and values.
	JSON Format = "json"
	// Export is what a POSIX shell evaluates.
	Export Format = "export"
)

// IsKnown tells whether Write can write in the format.
func (f Format) IsKnown() bool {
	return f == Plain || f == Dotenv || f == JSON || f == Export
}

// Write writes entries down, or, where one does not fit the format, nothing.
func (f Format) Write(out io.Writer, entries []Entry) error {
	if faults := Faults(entries); len(faults) > 0 {
		return errors.Join(faults...)
	}
	var lines []string
	var faults []error
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
	case Plain:
		if strings.ContainsAny(value, "\r\n") {
			return "", errors.New("a value of several lines does not fit the format plain; use json")
		}
		return name + "=" + value, nil
	case Dotenv:
		if !isCommonDotenv(value) {
			return "", errors.New("dotenv readers disagree on a value with a quote, a carriage return, ${ or a doubled or final backslash; use json")
		}
		return name + "='" + value + "'", nil
	case Export:
		if !isShellName(name) {
			return "", fmt.Errorf("no shell can set %s; use json, or 'agent exec'", name)
		}
		return "export " + name + "='" + strings.ReplaceAll(value, "'", `'\''`) + "'", nil
	case JSON:
		return jsonMember(name, value)
	}
	return "", fmt.Errorf("format %q is not known: plain, dotenv, json or export", string(f))
}

// isCommonDotenv tells whether the readers for Python, Node, Ruby and Compose give back
// value from between single quotes: Python's expands ${ and halves \\ even there.
func isCommonDotenv(value string) bool {
	return !strings.ContainsAny(value, "'\r") && !strings.Contains(value, `\\`) &&
		!strings.Contains(value, "${") && !strings.HasSuffix(value, `\`)
}

func jsonMember(name, value string) (string, error) {
	if !utf8.ValidString(value) {
		return "", errors.New("a value that is not UTF-8 does not fit the format json")
	}
	quotedName, nameErr := json.Marshal(name)
	quotedValue, valueErr := json.Marshal(value)
	return string(quotedName) + ": " + string(quotedValue), errors.Join(nameErr, valueErr)
}
