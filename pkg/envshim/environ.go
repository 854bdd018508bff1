package envshim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
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

// Faults tells, one error each, which entries no environment can carry: a name that is
// none of Airflow's (so that no manifest can set LD_PRELOAD), two ids that share one
// variable, a NUL byte.
func Faults(entries []Entry) []error {
	var faults []error
	first := make(map[string]Entry, len(entries))
	for _, entry := range entries {
		if err := entry.fault(); err != nil {
			faults = append(faults, fmt.Errorf("%s %q: %w", entry.Kind, entry.ID, err))
		}
		if other, taken := first[entry.Env]; taken {
			faults = append(faults, clash(other, entry))
		}
		first[entry.Env] = entry
	}
	return faults
}

func clash(a, b Entry) error {
	why := "because Airflow upper-cases ids: rename one, or ask for one alone"
	if a.isShaped || b.isShaped {
		why = "by --as: give one of them alone"
	}
	return fmt.Errorf("%s %q and %s %q would both be %s, %s", a.Kind, a.ID, b.Kind, b.ID, OnOneLine(b.Env), why)
}

func (e Entry) fault() error {
	switch {
	case !e.isShaped && !isAirflowName(e.Env):
		return fmt.Errorf("%q is no variable that Airflow looks up", e.Env)
	case strings.ContainsRune(e.Value.Reveal(), 0):
		return errors.New("the value holds a NUL byte, which no environment variable can carry")
	}
	return nil
}

func isAirflowName(name string) bool {
	prefixed := strings.HasPrefix(name, "AIRFLOW_CONN_") || strings.HasPrefix(name, "AIRFLOW_VAR_")
	return prefixed && !strings.ContainsAny(name, "=\x00")
}

// isShellName tells whether a POSIX shell can hold a variable of this name. dash and
// busybox drop others from the environment of what they start; bash hands them on.
func isShellName(name string) bool {
	for _, c := range name {
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// OnOneLine quotes a name that a terminal would obey or that some reader would take for two
// lines, such as one with U+2028: a key of Airflow may hold nearly anything.
func OnOneLine(name string) string {
	isUnprintable := func(char rune) bool { return !strconv.IsPrint(char) }
	if strings.ContainsFunc(name, isUnprintable) {
		return strconv.Quote(name)
	}
	return name
}

func variableName(variable string) string {
	name, _, _ := strings.Cut(variable, "=")
	return name
}
