package airflow

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Prefixes of the environment variables that Airflow looks in.
const (
	connectionEnvPrefix = "AIRFLOW_CONN_"
	variableEnvPrefix   = "AIRFLOW_VAR_"
)

// maxIDLength is the width of Airflow's columns for ids and keys, in characters.
const maxIDLength = 250

// ConnectionEnvName is the environment variable in which Airflow looks for the
// connection id: the prefix and the id in upper case, nothing replaced. It refuses
// what Airflow does not take for a conn_id.
func ConnectionEnvName(id string) (string, error) {
	if err := checkName(id); err != nil {
		return "", fmt.Errorf("checking conn_id: %w", err)
	}
	for at, char := range id {
		if !isIDCharacter(char) {
			return "", fmt.Errorf("checking conn_id %q: character %q at byte %d is not allowed; "+
				`Airflow allows letters, digits and _ # ! ( ) - . : / \`, id, char, at+1)
		}
	}
	return connectionEnvPrefix + upper(id), nil
}

// VariableEnvName is the environment variable in which Airflow looks for the variable
// key. Airflow takes any text for a key; the environment does not.
func VariableEnvName(key string) (string, error) {
	if err := checkName(key); err != nil {
		return "", fmt.Errorf("checking variable key: %w", err)
	}
	for at, char := range key {
		if char == '=' || unicode.IsControl(char) {
			return "", fmt.Errorf("checking variable key %q: character %q at byte %d cannot stand in "+
				"the name of an environment variable", key, char, at+1)
		}
	}
	return variableEnvPrefix + upper(key), nil
}

func checkName(name string) error {
	if name == "" {
		return errors.New("it is empty")
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("%.250q is not UTF-8", name)
	}
	if length := utf8.RuneCountInString(name); length > maxIDLength {
		return fmt.Errorf("%.40q… has %d characters; Airflow holds %d", name, length, maxIDLength)
	}
	return nil
}

// isIDCharacter is the character class of Airflow's RE_SANITIZE_CONN_ID, whose \w is
// Python's: what is a letter or a number in Unicode, and the underscore.
func isIDCharacter(char rune) bool {
	return unicode.IsLetter(char) || unicode.IsNumber(char) || strings.ContainsRune(`_#!()-.:/\`, char)
}

// upper is Python's str.upper, by which Airflow makes the names of environment
// variables. Unlike strings.ToUpper it maps one character to several where Unicode's
// SpecialCasing says so: "straße" is "STRASSE".
func upper(text string) string {
	if isASCII := !strings.ContainsFunc(text, func(char rune) bool { return char >= utf8.RuneSelf }); isASCII {
		return strings.ToUpper(text)
	}
	return cases.Upper(language.Und).String(text)
}
