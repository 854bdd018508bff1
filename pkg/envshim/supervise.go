package envshim

import (
	"context"
	"fmt"
	"hash/maphash"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// clearRetry is how often to look whether those who were killed are gone.
const clearRetry = 5 * time.Millisecond

// Supervisor runs a program and tells it of rotations. It fits as the first process of
// a container.
type Supervisor struct {
	Dir string
	// As are shapes to give connections.
	As []Shape
	// Build makes the program from what is delivered.
	Build func(Snapshot) (Program, error)
	// OnRotate is what to do when a delivered value changed, came or was withdrawn.
	OnRotate Rotation
	// Debounce is how long to gather changes before acting on them.
	Debounce time.Duration
	// Splay is the most that is added to Debounce at random, so that the pods of a node
	// do not all act at once.
	Splay time.Duration
	// Grace is how long a child may take to end before a restart kills it.
	Grace time.Duration
	// Tell is given a line for each thing the supervisor does. It holds no value.
	Tell func(line string)
}

// supervision is one run of a Supervisor. Everything in it belongs to one goroutine on
// one thread.
type supervision struct {
	Supervisor
	fingerprinter
	foreground bool

	child   child
	current fingerprint     // of what the child knows
	gone    bool            // the child has ended
	status  unix.WaitStatus // how

	debounceTimer <-chan time.Time // when to look at a change
	retryTimer    <-chan time.Time // when to look once more at what could not be acted upon
	retryDelay    time.Duration    // since the last look at a child that does not handle the signal yet

	stopping  bool             // the child was asked to end for good
	stopTimer <-chan time.Time // when it is taken not to

	next            *Program // what replaces the child once it has ended
	nextFingerprint fingerprint
	killTimer       <-chan time.Time // when to kill a child that next waits for
	clearTimer      <-chan time.Time // when to look whether its group is gone
	groupAbandoned  bool             // its group will not go

	lastComplaint string // what was told last of what goes on failing
}

// Run starts the program with snapshot and returns its exit code, or 128 and the number
// of the signal that ended it. Signals go to the program alone. There are never two: a
// restart waits for the end of the old one and clears away what it left in its group.
func (s Supervisor) Run(snapshot Snapshot) (int, error) {
	runtime.LockOSThread() // the child dies with this thread
	defer runtime.UnlockOSThread()
	adoptOrphans()
	signals, ended := make(chan os.Signal, 256), make(chan os.Signal, 1)
	signal.Notify(signals, forwarded()...)
	signal.Notify(ended, unix.SIGCHLD)
	signal.Notify(ended, unix.SIGPIPE, unix.SIGTTIN, unix.SIGTTOU) // which would end or stop this process
	run := &supervision{Supervisor: s, fingerprinter: fingerprinter{maphash.MakeSeed()}, foreground: isForeground()}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	changed := watchGenerations(ctx, s.Dir, slowPoll, func(err error) {
		s.Tell(fmt.Sprintf("no notice of changes from the kernel, so looking every second instead: %v", err))
	})
	program, err := s.Build(snapshot)
	if err == nil {
		err = run.start(program, run.of(snapshot.Entries))
	}
	if err != nil {
		return 0, err
	}
	return run.loop(signals, ended, changed)
}

func (r *supervision) loop(signals, ended <-chan os.Signal, changed <-chan struct{}) (int, error) {
	r.schedule(0) // what changed between the snapshot and the watch
	for {
		select {
		case number := <-signals:
			r.forward(number.(syscall.Signal))
		case <-changed:
			r.schedule(r.delay())
		case <-r.debounceTimer:
			r.rotate()
		case <-r.retryTimer:
			r.rotate()
		case <-r.killTimer:
			r.expire()
		case <-ended:
			r.reap()
		case <-r.stopTimer:
			r.resume()
		case <-r.clearTimer:
		}
		if over, err := r.settle(); over || err != nil {
			return exitCode(r.status), err
		}
	}
}

// expire ends a child that had its time, and then the wait for what it left behind:
// someone else may fail to collect it.
func (r *supervision) expire() {
	if r.gone {
		r.Tell("what the program left behind has not gone; starting it all the same")
		r.groupAbandoned = true
		return
	}
	r.Tell("the program did not end within the grace period; killing it")
	r.child.killGroup()
	r.killTimer = time.After(r.Grace)
}

func (r *supervision) reap() {
	if status, ended := reap(r.child); ended {
		r.status, r.gone = status, true
	}
}

// settle goes on from a child that has ended: it is over, or the next one starts as soon
// as nothing of the old one's group lives.
func (r *supervision) settle() (over bool, err error) {
	switch {
	case !r.gone:
		return false, nil
	case r.next == nil:
		return true, nil
	case !r.groupAbandoned && r.child.killGroup():
		r.clearTimer = time.After(clearRetry)
		return false, nil
	}
	r.refresh()
	program := *r.next
	r.next, r.killTimer, r.clearTimer = nil, nil, nil
	if err := r.start(program, r.nextFingerprint); err != nil {
		return true, err
	}
	r.schedule(r.delay()) // what changed meanwhile
	return false, nil
}

func (r *supervision) start(program Program, is fingerprint) (err error) {
	r.child, err = startChild(program, r.foreground)
	if err != nil {
		return err
	}
	r.current, r.gone, r.groupAbandoned = is, false, false
	return nil
}

// complain tells once of what goes on failing.
func (r *supervision) complain(line string) {
	if line != r.lastComplaint {
		r.Tell(line)
	}
	r.lastComplaint = line
}

func isForeground() bool {
	group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// forward hands a signal on. One that asks to end is the last word: no rotation starts
// the program again after it. Where a restart has asked already, the child is not asked
// twice, since many programs take the second for "at once".
func (r *supervision) forward(number syscall.Signal) {
	asked := r.next != nil && number == unix.SIGTERM
	if isStop(number) {
		r.stop(number)
	}
	if !asked && !r.gone {
		r.child.send(number)
	}
}

// stop lets no rotation act any more. Not all programs end at INT and QUIT, at which a
// Java runtime tells of its threads; one that has not within the grace period goes on.
func (r *supervision) stop(number syscall.Signal) {
	switch {
	case number == unix.SIGTERM:
		r.stopTimer = nil
	case !r.stopping, r.stopTimer != nil:
		r.stopTimer = time.After(r.Grace)
	}
	r.stopping, r.next = true, nil
	r.debounceTimer, r.retryTimer, r.killTimer = nil, nil, nil
}

// resume looks for what changed while the program was taken to end.
func (r *supervision) resume() {
	r.stopping, r.stopTimer = false, nil
	r.Tell("the program goes on after a signal to end; acting on rotations again")
	r.schedule(0)
}
