package envshim

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit codes of a program that could not be started, as shells have them.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

// StartError tells why a program could not be started, with the exit code for it.
type StartError struct {
	ExitCode int
	Err      error
}

func (e *StartError) Error() string { return e.Err.Error() }
func (e *StartError) Unwrap() error { return e.Err }

// Program is what becomes of the agent, or what it supervises.
type Program struct {
	Path    string
	Args    []string // with its own name first
	Environ []string
}

// Find looks a command up as a shell does: a name with a slash is a path, another is
// searched for along searchPath, where an empty element is the working directory. What
// may be in a directory that this user may not search is not found.
func Find(command, searchPath string) (string, error) {
	if strings.Contains(command, "/") {
		return command, executable(command)
	}
	var unusable error
	var closed []string
	for _, dir := range filepath.SplitList(searchPath) {
		if command == "" {
			break
		}
		if dir == "" {
			dir = "."
		}
		path := dir + "/" + command
		err := executable(path)
		var start *StartError
		switch {
		case err == nil:
			return path, nil
		case !errors.As(err, &start) || start.ExitCode == exitNotFound:
		case errors.Is(unix.Access(dir, unix.X_OK), unix.EACCES):
			closed = append(closed, dir)
		default:
			unusable = err
		}
	}
	if unusable != nil {
		return "", unusable
	}
	return "", notFound(command, closed)
}

// notFound names the directories that could not be searched: the command may be there.
func notFound(command string, closed []string) error {
	err := fmt.Errorf("%q: command not found in PATH", command)
	if strings.ContainsAny(command, " \t\n") { // one item of a pod's command, with a whole command line in it
		err = fmt.Errorf("%w: it is one argument with a space in it; give the program and its arguments one by one, or a shell: sh -c", err)
	}
	if len(closed) > 0 {
		err = fmt.Errorf("%w, of which this user may not search %s", err, strings.Join(closed, ", "))
	}
	return &StartError{exitNotFound, err}
}

func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return startError(path, err)
	case info.IsDir():
		return &StartError{exitNotExecutable, fmt.Errorf("%s: is a directory", path)}
	}
	if err := unix.Access(path, unix.X_OK); err != nil {
		return startError(path, err)
	}
	return nil
}

func startError(path string, err error) error {
	code := exitNotExecutable
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		code = exitNotFound
	case errors.Is(err, syscall.ENOEXEC):
		err = fmt.Errorf("%w; a script needs a first line such as #!/bin/sh", err)
	}
	return &StartError{code, fmt.Errorf("%s: %w", path, err)}
}

// Exec turns this process into the program: process id, parent, open files and signals
// in flight are then the program's own. It returns only to say why it failed.
func (p Program) Exec() error {
	if err := p.check(); err != nil {
		return err
	}
	return startError(p.Path, syscall.Exec(p.Path, p.Args, p.Environ)) //nolint:gosec // running what the user names is the point
}

// check finds out before execve does, and can say more than "argument list too long".
func (p Program) check() error {
	if faults := CurrentLimits().Faults(p); len(faults) > 0 {
		return &StartError{exitNotExecutable, errors.Join(faults...)}
	}
	return nil
}

// ForbidCoreDump keeps values out of core files, and other processes of the same user out of
// this one's memory.
//
//  1. This process may not be dumped. That ends at execve, so the program that is started may
//     be debugged as it always could.
//  2. The program, whose environment has the values, inherits a soft limit of one byte for
//     core files. Linux writes no file of that size. At 0 it would still hand a core to a
//     program that kernel.core_pattern names, at 1 it does not. The hard limit stays: a
//     program that wants its core file says so by ulimit -S -c.
//
// It fails only on kernels that know no such thing, where nothing else could be done either.
func ForbidCoreDump() {
	forbidDump()
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = min(1, limit.Max)
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
}
