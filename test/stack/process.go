package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/leoflow/secrets-csi/internal/testneed"
)

// Process is a program of ours that runs in the background. What it prints is kept.
type Process struct {
	command *exec.Cmd
	output  *output
	done    chan struct{}
	err     error
}

// Run runs a program until Stop or Kill. It is in a process group of its own, so that
// Ctrl-C in a terminal reaches it through us and in our order, and it ends with us.
// Settings in our environment that are meant for such programs are not handed on.
func Run(program string, args ...string) (*Process, error) {
	command := exec.CommandContext(context.Background(), program, args...)
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "LEOFLOW_")
	})
	command.WaitDelay = endTimeout // where something else holds its output open
	command.SysProcAttr = testneed.Child()
	command.SysProcAttr.Setpgid = true
	p := &Process{command: command, output: newOutput(), done: make(chan struct{})}
	command.Stdout, command.Stderr = &lines{to: p.output}, &lines{to: p.output}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	go func() {
		defer close(p.done)
		p.err = command.Wait()
	}()
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.command.Process.Pid }

// Output is all that it has printed.
func (p *Process) Output() string { return p.output.String() }

// WaitFor returns once a line with text has been printed; the line.
func (p *Process) WaitFor(ctx context.Context, text string) (string, error) {
	for {
		line, more := p.output.find(text)
		if line != "" {
			return line, nil
		}
		select {
		case <-more:
		case <-p.done:
			return "", fmt.Errorf("%s ended before it said %q:\n%s", p.command.Path, text, p.Output())
		case <-ctx.Done():
			return "", fmt.Errorf("%s did not say %q: %w\n%s", p.command.Path, text, ctx.Err(), p.Output())
		}
	}
}

// waitForMore returns once text has been printed more than so many times; other is a process that is
// to do something for it.
func (p *Process) waitForMore(ctx context.Context, text string, times int, other *Process) error {
	for {
		printed, more := p.output.look()
		if strings.Count(printed, text) > times {
			return nil
		}
		select {
		case <-more:
		case <-p.done:
			return fmt.Errorf("%s ended before it said %q:\n%s", p.command.Path, text, printed)
		case <-other.done:
			return fmt.Errorf("%s ended before %s said %q:\n%s", other.command.Path, p.command.Path, text, other.Output())
		case <-ctx.Done():
			return fmt.Errorf("%s did not say %q: %w\n%s\n%s", p.command.Path, text, ctx.Err(), printed, other.Output())
		}
	}
}

// HasEnded reports whether the process runs no more.
func (p *Process) HasEnded() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Signal sends a signal.
func (p *Process) Signal(signal syscall.Signal) error { return p.command.Process.Signal(signal) }

// endTimeout is how long a program has to end that was asked to.
const endTimeout = time.Minute

// Wait waits for the process to end. One that was asked to and does not is killed, which
// is an error.
func (p *Process) Wait() error {
	select {
	case <-p.done:
		return p.err
	case <-time.After(endTimeout):
		p.Kill()
		return fmt.Errorf("%s did not end within %v and was killed:\n%s", p.command.Path, endTimeout, p.Output())
	}
}

// Stop ends the process by SIGTERM and waits for it.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		select {
		case <-p.done: // it had ended
		default:
			return err
		}
	}
	return p.Wait()
}

// output collects lines and tells whoever waits for one.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

// lines hands on whole lines of one stream: a write that is larger than a pipe takes at
// once comes in parts, between which the other stream may say something.
type lines struct {
	to    *output
	begun []byte
}

func (l *lines) Write(text []byte) (int, error) {
	l.begun = append(l.begun, text...)
	whole := bytes.LastIndexByte(l.begun, '\n') + 1
	if whole > 0 {
		_, _ = l.to.Write(l.begun[:whole])
		l.begun = append([]byte(nil), l.begun[whole:]...)
	}
	return len(text), nil
}

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(text)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// find returns the first whole line with text, and a channel that closes when there is
// more to look at.
func (o *output) find(text string) (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for line := range strings.Lines(o.text.String()) {
		if strings.HasSuffix(line, "\n") && strings.Contains(line, text) {
			return strings.TrimSuffix(line, "\n"), o.more
		}
	}
	return "", o.more
}

// look returns all text, and a channel that closes when there is more.
func (o *output) look() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.more
}

// check tells of the first whole line that is not JSON, as every line of a log is.
func (o *output) check() error {
	for line := range strings.Lines(o.String()) {
		if strings.HasSuffix(line, "\n") && !json.Valid([]byte(line)) {
			return fmt.Errorf("this is no line of a log: %q", line)
		}
	}
	return nil
}

// Kill ends the process by SIGKILL and waits for it.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.done
}

// ID is the process's id as /proc spells it.
func (p *Process) ID() string { return strconv.Itoa(p.PID()) }
