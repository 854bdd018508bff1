package envshim

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Rotation is what a supervisor does to its child when delivered values changed. The
// zero value is to do nothing.
type Rotation struct {
	restart bool
	signal  syscall.Signal
}

// ParseRotation reads "restart", "signal:HUP" with the name of any signal that a
// program can handle, or nothing.
func ParseRotation(text string) (Rotation, error) {
	name, isSignal := strings.CutPrefix(text, "signal:")
	switch {
	case text == "":
		return Rotation{}, nil
	case text == "restart":
		return Rotation{restart: true}, nil
	case !isSignal:
		return Rotation{}, fmt.Errorf("%q is neither restart nor signal:NAME", text)
	}
	number := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG"))
	if number == 0 || number == unix.SIGKILL || number == unix.SIGSTOP {
		return Rotation{}, fmt.Errorf("%q is no signal that a program can handle, such as signal:HUP", text)
	}
	return Rotation{signal: number}, nil
}

// isStop tells whether a signal asks a program to end, so that ending is no accident.
func isStop(signal syscall.Signal) bool {
	return signal == unix.SIGTERM || signal == unix.SIGINT || signal == unix.SIGQUIT
}

// fingerprint is equal for equal entries, and tells nothing about them: its seed does
// not leave the process.
type fingerprint uint64

type fingerprinter struct{ seed maphash.Seed }

func (f fingerprinter) of(entries []Entry) fingerprint {
	byName := func(a, b Entry) int { return cmp.Compare(a.Env, b.Env) }
	var hash maphash.Hash
	hash.SetSeed(f.seed)
	for _, entry := range slices.SortedFunc(slices.Values(entries), byName) {
		// No name holds "=", and no value that an environment can carry holds NUL.
		_, _ = hash.WriteString(entry.Env + "=" + entry.Value.Reveal() + "\x00")
	}
	return fingerprint(hash.Sum64())
}
