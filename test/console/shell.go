package console

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// Shell runs commands one after another as a person does in one terminal: the directory
// and the variables that one leaves are those of the next.
type Shell struct {
	dir     string
	env     []string
	state   string // the file in which directory and variables wait for the next command
	serving []*exec.Cmd
}

// Open begins in the directory. scratch is a directory for the shell's own use. Programs speak
// as in the documents, whatever locale the terminal has, and whether or not it is installed.
func Open(dir, scratch string, env ...string) *Shell {
	state := filepath.Join(scratch, "shell-state")
	return &Shell{dir: dir, state: state, env: append(os.Environ(), append(env, "LC_ALL=C.UTF-8", "CONSOLE_STATE="+state)...)}
}

// script is a command in the state that the one before left: all variables are exported.
const script = `set -a -e -o pipefail
if [ -e "$CONSOLE_STATE" ]; then . "$CONSOLE_STATE"; cd -- "$PWD"; fi
trap 'export -p >"$CONSOLE_STATE"' EXIT
`

// command is one in a process group of its own, which ends with it.
func (s *Shell) command(ctx context.Context, text string) *exec.Cmd {
	command := exec.CommandContext(ctx, "bash", "-c", script+text)
	command.Dir, command.Env = s.dir, s.env
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = time.Second
	return command
}

// servers are the commands that do not end by themselves, and what they say once they serve.
var servers = []struct{ command, says *regexp.Regexp }{
	{regexp.MustCompile(`^(driver|fetcher) --(node-id|fetcher-socket)\b`), regexp.MustCompile(`msg=serving|the driver is there|cannot reach the driver`)},
	{regexp.MustCompile(`^core serve\b`), regexp.MustCompile(`core is serving`)},
	{regexp.MustCompile(`^kubectl .*\bport-forward\b`), regexp.MustCompile(`Forwarding from`)},
}

// Run runs the command to its end, or until it serves, and returns what it printed.
func (s *Shell) Run(ctx context.Context, text string) (string, error) {
	for _, server := range servers {
		if server.command.MatchString(text) {
			return s.serve(ctx, text, server.says)
		}
	}
	command := s.command(ctx, text)
	output, err := command.CombinedOutput()
	if ctx.Err() != nil {
		err = errors.New("it did not end; a command that serves is listed in test/console/shell.go")
	}
	return string(output), err
}

// serve leaves the command running until Close. What it says later nobody reads.
func (s *Shell) serve(ctx context.Context, text string, says *regexp.Regexp) (output string, err error) {
	command := s.command(context.WithoutCancel(ctx), text)
	read, err := command.StdoutPipe()
	command.Stderr = command.Stdout
	if err = errors.Join(err, command.Start()); err != nil {
		return "", err
	}
	s.serving = append(s.serving, command)
	defer context.AfterFunc(ctx, func() { _ = command.Cancel() })()
	for lines := bufio.NewScanner(read); lines.Scan(); {
		if output += lines.Text() + "\n"; says.MatchString(output) {
			go func() { _, _ = io.Copy(io.Discard, read) }()
			return output, nil
		}
	}
	return output, errors.New("it ended, or was ended, before it served")
}

// Close ends what still serves.
func (s *Shell) Close() {
	for _, command := range s.serving {
		_ = command.Cancel()
		_ = command.Wait()
	}
}
