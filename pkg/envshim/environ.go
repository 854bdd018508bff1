package envshim

import (
	"errors"
	"slices"
	"strings"
)

// Merge adds entries to an inherited environment ("NAME=value" strings, which it leaves
// alone). An entry replaces an inherited variable of its name, every copy of it;
// keepExisting reverses that.
func Merge(inherited []string, entries []Entry, keepExisting bool) ([]string, error) {
	if faults := Faults(entries); len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	environ := slices.Clone(inherited)
	if !keepExisting {
		environ = Without(inherited, entries)
	}
	kept := make(map[string]bool, len(environ))
	for _, variable := range environ {
		kept[variableName(variable)] = true
	}
	for _, entry := range entries {
		if !kept[entry.Env] {
			environ = append(environ, entry.Env+"="+entry.Value.Reveal())
		}
	}
	return environ, nil
}

// Without is an inherited environment without the variables of entries.
func Without(inherited []string, entries []Entry) []string {
	delivered := make(map[string]bool, len(entries))
	for _, entry := range entries {
		delivered[entry.Env] = true
	}
	var environ []string
	for _, variable := range inherited {
		if !delivered[variableName(variable)] {
			environ = append(environ, variable)
		}
	}
	return environ
}

// Differing names the variables that are inherited with another value than an entry's.
func Differing(inherited []string, entries []Entry) []string {
	values := make(map[string]string, len(inherited))
	for _, variable := range inherited {
		name, value, _ := strings.Cut(variable, "=")
		values[name] = value
	}
	var names []string
	for _, entry := range entries {
		if value, set := values[entry.Env]; set && value != entry.Value.Reveal() {
			names = append(names, entry.Env)
		}
	}
	return names
}
