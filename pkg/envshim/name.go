package envshim

import (
	"errors"
	"fmt"
	"strings"
)

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
			faults = append(faults, fmt.Errorf("%s %q and %s %q would both be %s, because Airflow upper-cases ids: rename one, or ask for one alone",
				other.Kind, other.ID, entry.Kind, entry.ID, entry.Env))
		}
		first[entry.Env] = entry
	}
	return faults
}

func (e Entry) fault() error {
	switch {
	case !isAirflowName(e.Env):
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

func variableName(variable string) string {
	name, _, _ := strings.Cut(variable, "=")
	return name
}
