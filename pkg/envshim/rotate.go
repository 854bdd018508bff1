package envshim

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

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

// signalRetry is how soon to look whether the child handles the signal by now; each look
// after it takes twice as long to come, up to slowPoll.
const signalRetry = 100 * time.Millisecond

func (r *supervision) delay() time.Duration {
	if r.Splay <= 0 {
		return r.Debounce
	}
	return r.Debounce + rand.N(r.Splay)
}

// schedule sets the time of the next look. The first change sets it; those that follow
// are seen by the same look, so a stream of changes cannot put it off.
func (r *supervision) schedule(delay time.Duration) {
	if r.debounceTimer == nil && r.next == nil && !r.stopping && r.OnRotate != (Rotation{}) {
		r.debounceTimer = time.After(delay)
	}
}

// rotate compares what is delivered with what the child knows, and acts on a difference.
// A child that has ended by itself meanwhile is not started again.
func (r *supervision) rotate() {
	r.debounceTimer, r.retryTimer = nil, nil
	if r.reap(); r.gone {
		return
	}
	snapshot, err := Read(r.Dir, r.As...)
	if err != nil {
		r.keep(err)
		return
	}
	now := r.of(snapshot.Entries)
	switch {
	case now == r.current:
		r.retryDelay, r.lastComplaint = 0, ""
	case r.OnRotate.restart:
		r.restart(snapshot, now)
	default:
		r.signal(snapshot, now)
	}
}

func (r *supervision) signal(snapshot Snapshot, now fingerprint) {
	number := r.OnRotate.signal
	if !isStop(number) && !r.child.survives(number) {
		if r.retryDelay == 0 {
			r.Tell(fmt.Sprintf("the program does not handle %s yet and would be killed by it; it is sent once the program does", unix.SignalName(number)))
		}
		r.retryDelay = min(max(signalRetry, 2*r.retryDelay), slowPoll)
		r.retryTimer = time.After(r.retryDelay)
		return
	}
	r.retryDelay, r.current, r.lastComplaint = 0, now, ""
	r.Tell(fmt.Sprintf("generation %d: sending %s", snapshot.Manifest.Generation, unix.SignalName(number)))
	r.child.send(number)
}

// keep leaves the program as it is, and looks again: the volume may come back, and the
// program's file, and no notice of the kernel tells of either.
func (r *supervision) keep(err error) {
	r.complain(fmt.Sprintf("keeping the program as it is: %v", err))
	r.retryTimer = time.After(slowPoll)
}

// restart asks the child to end, having made sure that there is something to start.
func (r *supervision) restart(snapshot Snapshot, now fingerprint) {
	program, err := r.build(snapshot)
	if err != nil {
		r.keep(fmt.Errorf("generation %d: %w", snapshot.Manifest.Generation, err))
		return
	}
	r.Tell(fmt.Sprintf("generation %d: restarting the program", snapshot.Manifest.Generation))
	r.next, r.nextFingerprint, r.killTimer, r.lastComplaint = &program, now, time.After(r.Grace), ""
	r.child.send(unix.SIGTERM)
}

// build makes a program that can be started.
func (r *supervision) build(snapshot Snapshot) (Program, error) {
	program, err := r.Build(snapshot)
	if err == nil {
		err = program.check()
	}
	return program, err
}

// refresh lets the next program begin with what is delivered by now. The old one may have
// taken long to end, and for what changed meanwhile the new one would have to end too.
func (r *supervision) refresh() {
	snapshot, err := Read(r.Dir, r.As...)
	if err != nil {
		return
	}
	if program, err := r.build(snapshot); err == nil {
		r.next, r.nextFingerprint = &program, r.of(snapshot.Entries)
	}
}

// fingerprint is equal for equal entries in any order, and tells nothing about them: its seed
// does not leave the process.
type fingerprint uint64

type fingerprinter struct{ seed maphash.Seed }

func (f fingerprinter) of(entries []Entry) (sum fingerprint) {
	for _, entry := range entries {
		// No name holds "=", so no two entries make the same text.
		sum += fingerprint(maphash.String(f.seed, entry.Env+"="+entry.Value.Reveal()))
	}
	return sum
}
