package envshim

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// What execve(2) accepts: one string of at most 32 pages with its NUL (MAX_ARG_STRLEN),
// and all of them together, with a pointer for each, within a quarter of the stack
// limit, but never more than 6 MiB nor less than 128 KiB (bprm_stack_limits in the
// kernel's fs/exec.c).
const (
	pagesOfString = 32
	mostOfAll     = 6 << 20
	leastOfAll    = 128 << 10
	pointerSize   = 8
)

// Limits are the sizes that execve accepts.
type Limits struct{ String, Total int }

// CurrentLimits are the limits of this process, which its child inherits.
func CurrentLimits() Limits {
	total := uint64(mostOfAll)
	var stack unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_STACK, &stack) == nil {
		total = max(leastOfAll, min(total, stack.Cur/4))
	}
	return Limits{String: pagesOfString * os.Getpagesize(), Total: int(total)}
}

// Faults tells why execve would refuse this program: which variables are too large, or
// that everything together is. It names variables, never what they hold.
func (l Limits) Faults(p Program) []error {
	var faults []error
	total := len(p.Path) + 1 + pointerSize*(len(p.Args)+len(p.Environ))
	for _, variable := range p.Environ {
		size := len(variable) + 1
		if size > l.String {
			faults = append(faults, fmt.Errorf("%s takes %d bytes with its name, and the kernel accepts %d in one variable: make the value smaller, or let the program read it from the volume, as Airflow does with --airflow-backend",
				OnOneLine(variableName(variable)), size, l.String))
		}
		total += size
	}
	for _, arg := range p.Args {
		total += len(arg) + 1
	}
	if total > l.Total {
		faults = append(faults, fmt.Errorf("arguments and environment take %d bytes, and the kernel accepts %d (a quarter of the stack limit, ulimit -s); the largest are %s: ask for fewer entries, or raise the limit",
			total, l.Total, largest(p.Environ, 3)))
	}
	return faults
}

// size is that of the entry's environment string.
func (e Entry) size() int { return len(e.Env) + len("=") + e.Value.Len() + len("\x00") }

// largest names the count largest variables and their sizes.
func largest(environ []string, count int) string {
	bySize := func(a, b string) int { return cmp.Compare(len(b), len(a)) }
	sorted := slices.Clone(environ)
	slices.SortStableFunc(sorted, bySize)
	var names []string
	for _, variable := range sorted[:min(count, len(sorted))] {
		names = append(names, fmt.Sprintf("%s (%d)", OnOneLine(variableName(variable)), len(variable)+1))
	}
	return strings.Join(names, ", ")
}
