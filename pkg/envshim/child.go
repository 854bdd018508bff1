package envshim

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit codes of a program that a signal ended are this and the signal's number.
const exitSignalled = 128

// child is the one program under a supervisor; its process group has the same number.
type child struct{ pid int }

// startChild starts a program in a process group of its own, which makes a terminal's
// Ctrl-C reach it once, and lets a restart clear away what it leaves behind. On Linux it dies
// with the supervisor's thread, whatever ends that.
func startChild(program Program, foreground bool) (child, error) {
	if err := program.check(); err != nil {
		return child{}, err
	}
	pid, err := syscall.ForkExec(program.Path, program.Args, &syscall.ProcAttr{ //nolint:gosec // running what the user names is the point
		Env:   program.Environ,
		Files: []uintptr{0, 1, 2},
		Sys:   ofSupervisor(syscall.SysProcAttr{Setpgid: true, Foreground: foreground, Ctty: 0}),
	})
	if err != nil {
		return child{}, startError(program.Path, err)
	}
	return child{pid}, nil
}

// send fails only where the child is gone already, which the next reap finds out.
func (c child) send(number syscall.Signal) { _ = unix.Kill(c.pid, number) }

// killGroup ends the child and whatever it started that stayed in its group, and tells
// whether anyone was there. Where the child is reaped already, a surviving member still
// keeps the number from being reused.
func (c child) killGroup() bool { return unix.Kill(-c.pid, unix.SIGKILL) == nil }

// survives tells whether a signal is caught, ignored or waited for in the child. A
// program that is only just starting does none of that yet, and would be killed.
func (c child) survives(number syscall.Signal) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.pid))
	if err != nil {
		return true // no /proc: there is no telling
	}
	// In sigwait(3) a single thread has its signals unblocked for the time being.
	place, err := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", c.pid))
	if err == nil && strings.Contains(string(place), "sigtimedwait") {
		return true
	}
	for line := range strings.Lines(string(status)) {
		name, mask, _ := strings.Cut(line, ":")
		if name != "SigCgt" && name != "SigIgn" && name != "SigBlk" {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
		if err == nil && bits>>(number-1)&1 == 1 {
			return true
		}
	}
	return false
}

// reap collects every process that ended: the child and orphans. Nothing else in this program
// waits for processes, so no exit code can get lost between two who wait.
func reap(c child) (status unix.WaitStatus, ended bool) {
	for {
		var each unix.WaitStatus
		pid, err := unix.Wait4(-1, &each, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err != nil || pid <= 0:
			return status, ended
		case pid == c.pid:
			status, ended = each, true
		}
	}
}

func exitCode(status unix.WaitStatus) int {
	if status.Signaled() {
		return exitSignalled + int(status.Signal())
	}
	return status.ExitStatus()
}

// forwarded lists the signals that are the child's. Not among them are those the kernel
// raises for a process's own doing, job control's that would stop the supervisor, and
// SIGURG, which the Go runtime sends itself. One that was ignored at the start, as
// nohup does, stays ignored for the child too.
func forwarded() []os.Signal {
	own := []syscall.Signal{
		unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGURG, unix.SIGPIPE, unix.SIGTTIN, unix.SIGTTOU,
		unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS, unix.SIGPROF,
	}
	const lastSignal = 64
	var list []os.Signal
	for number := syscall.Signal(1); number <= lastSignal; number++ {
		isLibc := number >= 32 && number <= 34
		if !isLibc && !slices.Contains(own, number) && !signal.Ignored(number) {
			list = append(list, number)
		}
	}
	return list
}
