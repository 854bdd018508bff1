package envshim

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

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
		r.outlived = nil
	case !r.stopping, r.outlived != nil:
		r.outlived = time.After(r.Grace)
	}
	r.stopping, r.next = true, nil
	r.due, r.again, r.deadline = nil, nil, nil
}

// resume looks for what changed while the program was taken to end.
func (r *supervision) resume() {
	r.stopping, r.outlived = false, nil
	r.Tell("the program goes on after a signal to end; acting on rotations again")
	r.schedule(0)
}
