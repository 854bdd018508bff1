package cli

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/nearest"
)

// asWritten says what package flag says of a command line by the flag as it is written here, with two
// dashes, and what was expected: package flag has no types for its errors.
func asWritten(flags *flag.FlagSet, err error) error {
	text := err.Error()
	if name, found := strings.CutPrefix(text, "flag provided but not defined: -"); found {
		var names []string
		flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		if near, found := nearest.Word(name, names); found {
			return fmt.Errorf("--%s is not a flag (did you mean --%s?)", name, near)
		}
		return fmt.Errorf("--%s is not a flag", name)
	}
	if name, found := strings.CutPrefix(text, "flag needs an argument: -"); found {
		return fmt.Errorf("--%s: its value is missing", name)
	}
	// Of all others, "bad flag syntax" is the one that names no flag which there is.
	for _, before := range []string{" for flag -", " for -"} {
		head, rest, found := cutLast(text, before)
		name, why, hasWhy := strings.Cut(rest, ": ")
		value := strings.TrimPrefix(strings.TrimPrefix(head, "invalid value "), "invalid boolean value ")
		if declared := flags.Lookup(name); found && hasWhy && value != head && declared != nil {
			return fmt.Errorf("--%s: %w", name, notAValue(declared, value, errors.New(why)))
		}
	}
	return err
}

// cutLast is strings.Cut at the last separator: a value may have one inside.
func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}

// notAValue says what the flag takes in place of the quoted value. A Value of our own says so itself.
func notAValue(declared *flag.Flag, quoted string, why error) error {
	getter, ok := declared.Value.(flag.Getter)
	if !ok {
		return why
	}
	switch getter.Get().(type) {
	case time.Duration:
		return fmt.Errorf(`%s is not a duration; write it like "90s" or "5m"`, quoted)
	case bool:
		return fmt.Errorf("%s is neither true nor false", quoted)
	case int, uint:
		return fmt.Errorf("%s is not a whole number that this takes", quoted)
	}
	return why
}
