package envshim

import (
	"errors"
	"fmt"
	"strings"
)

// Merge adds entries to an inherited environment ("NAME=value" strings, which it leaves
// alone). An entry replaces an inherited variable of its name, every copy of it, unless
// keepExisting is set. It returns the names of those that were inherited with another
// value, whichever won.
func Merge(inherited []string, entries []Entry, keepExisting bool) (environ, differing []string, err error) {
	delivered := make(map[string]Entry, len(entries))
	for _, entry := range entries {
		delivered[entry.Env] = entry
	}
	environ = make([]string, 0, len(inherited)+len(entries))
	met := map[string]bool{}
	for _, variable := range inherited {
		name, value, _ := strings.Cut(variable, "=")
		entry, ours := delivered[name]
		if ours && !met[name] && value != entry.Value.Reveal() {
			differing = append(differing, name)
		}
		met[name] = met[name] || ours
		if !ours || keepExisting {
			environ = append(environ, variable)
		}
	}
	for _, entry := range entries {
		if keepExisting && met[entry.Env] {
			continue
		}
		if strings.ContainsRune(entry.Value.Reveal(), 0) {
			err = errors.Join(err, fmt.Errorf("%s %q: the value holds a NUL byte, which no environment variable can carry", entry.Kind, entry.ID))
			continue
		}
		environ = append(environ, entry.Env+"="+entry.Value.Reveal())
	}
	return environ, differing, err
}
