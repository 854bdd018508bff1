package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// process names a process for good: a pid alone may since be another's.
type process struct {
	pid   int
	start string // clock ticks since boot, as /proc/PID/stat has it
}

// identify finds the process that has the pid now. One that has ended is none, though its
// parent may not have noticed yet.
func identify(pid int) (process, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	// The second field is the name in parentheses and may hold anything, spaces and
	// parentheses too; what follows the last one begins with the third field.
	after := content[bytes.LastIndexByte(content, ')')+1:]
	const third, start = 3, 22
	fields := strings.Fields(string(after))
	if len(fields) <= start-third {
		return process{}, fmt.Errorf("reading /proc/%d/stat: too few fields", pid)
	}
	if state := fields[0]; state == "Z" || state == "X" {
		return process{}, fs.ErrNotExist
	}
	return process{pid, fields[start-third]}, nil
}

func parseProcess(text string) (process, error) {
	pid, start, ok := strings.Cut(strings.TrimSpace(text), " ")
	number, err := strconv.Atoi(pid)
	if !ok || err != nil {
		return process{}, fmt.Errorf("reading the record of a process: %q", text)
	}
	return process{number, start}, nil
}

func (p process) String() string { return fmt.Sprintf("%d %s", p.pid, p.start) }

// open holds on to the process. It returns -1 if it is no more.
func (p process) open() (descriptor int, err error) {
	descriptor, err = unix.PidfdOpen(p.pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("opening process %d: %w", p.pid, err)
	}
	// Compared only now, when the pid can no longer become another's.
	now, err := identify(p.pid)
	if gone := err != nil || now != p; gone {
		_ = unix.Close(descriptor)
		return -1, nil
	}
	return descriptor, nil
}

// kill ends the process and returns when it has ended.
func (p process) kill(ctx context.Context) error {
	descriptor, err := p.open()
	if err != nil || descriptor < 0 {
		return err
	}
	file := os.NewFile(uintptr(descriptor), "pidfd")
	defer func() { _ = file.Close() }()
	if err := unix.PidfdSendSignal(descriptor, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("killing process %d: %w", p.pid, err)
	}
	return awaitReadable(ctx, descriptor)
}

// awaitReadable returns when the descriptor can be read: a pidfd can when its process
// has ended, in a process namespace of its own together with every process in it.
func awaitReadable(ctx context.Context, descriptor int) error {
	for {
		polled := []unix.PollFd{{Fd: int32(descriptor), Events: unix.POLLIN}}
		const milliseconds = 100 // between looks at ctx
		ready, err := unix.Poll(polled, milliseconds)
		switch {
		case ready > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("waiting for a process to end: %w", err)
		case ctx.Err() != nil:
			return fmt.Errorf("waiting for a process to end: %w", context.Cause(ctx))
		}
	}
}
