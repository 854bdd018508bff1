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

// Limits are the sizes that execve accepts here.
type Limits struct{ String, Total int }

// CurrentLimits reads the limits of this process, which its child inherits.
func CurrentLimits() Limits {
	total := uint64(mostOfAll)
	var stack unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_STACK, &stack) == nil {
		total = max(leastOfAll, min(total, stack.Cur/4))
	}
	return Limits{String: pagesOfString * os.Getpagesize(), Total: int(total)}
}

// Check tells whether execve would take this program, its arguments and environment. An
// error names the variables at fault, never what they hold.
func (l Limits) Check(path string, args, environ []string) error {
	for _, variable := range environ {
		if len(variable)+1 > l.String {
			return fmt.Errorf("%s takes %d bytes with its name, and the kernel accepts %d in one variable: read the file in the volume instead, or make the value smaller",
				variableName(variable), len(variable)+1, l.String)
		}
	}
	total := len(path) + 1 + pointerSize*(len(args)+len(environ))
	for _, text := range slices.Concat(args, environ) {
		total += len(text) + 1
	}
	if total > l.Total {
		return fmt.Errorf("arguments and environment take %d bytes, and the kernel accepts %d (a quarter of the stack limit, ulimit -s); the largest are %s: ask for fewer entries, or raise the limit",
			total, l.Total, largest(environ, 3))
	}
	return nil
}

func variableName(variable string) string {
	name, _, _ := strings.Cut(variable, "=")
	return name
}

// largest names the count largest variables and their sizes.
func largest(environ []string, count int) string {
	sorted := slices.SortedFunc(slices.Values(environ), func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var names []string
	for _, variable := range sorted[:min(count, len(sorted))] {
		names = append(names, fmt.Sprintf("%s (%d)", variableName(variable), len(variable)+1))
	}
	return strings.Join(names, ", ")
}
