package envshim

import (
	"errors"
	"strings"
)

// Merge adds entries to an inherited environment ("NAME=value" strings, which it leaves
// alone). An entry replaces an inherited variable of its name, every copy of it;
// keepExisting reverses that.
func Merge(inherited []string, entries []Entry, keepExisting bool) ([]string, error) {
	if faults := Faults(entries); len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	delivered := make(map[string]bool, len(entries))
	for _, entry := range entries {
		delivered[entry.Env] = true
	}
	environ := make([]string, 0, len(inherited)+len(entries))
	kept := map[string]bool{}
	for _, variable := range inherited {
		name := variableName(variable)
		if delivered[name] && !keepExisting {
			continue
		}
		kept[name] = true
		environ = append(environ, variable)
	}
	for _, entry := range entries {
		if !kept[entry.Env] {
			environ = append(environ, entry.Env+"="+entry.Value.Reveal())
		}
	}
	return environ, nil
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
