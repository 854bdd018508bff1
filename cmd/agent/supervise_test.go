package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// supervisor is an agent that supervises a child.
type supervisor struct {
	*testing.T
	agent  *exec.Cmd
	volume string
	number int
	stdin  io.Writer
	lines  *bufio.Scanner // what the child says
	told   *bufio.Scanner // what the agent says
}

func supervise(t *testing.T, flags string, behaviour ...string) *supervisor {
	t.Helper()
	lock := filepath.Join(t.TempDir(), "lock")
	writeFile(t, lock, nil)
	s := superviseProgram(t, flags, append([]string{"child", lock}, behaviour...)...)
	s.says("start 0")
	return s
}

func superviseProgram(t *testing.T, flags string, program ...string) *supervisor {
	t.Helper()
	s := &supervisor{T: t, volume: newVolume(t, map[[2]string]string{{"variable", "region"}: "0"}), number: 1}
	args := []string{"exec", "--dir", s.volume, "--debounce=0"}
	for flag := range strings.SplitSeq(" "+flags, " --") { // a path may have a space
		if flag != "" {
			args = append(args, "--"+flag)
		}
	}
	s.agent = testwait.Command(t, "agent", append(append(args, "--"), program...)...)
	s.agent.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ignoreNothing(t)
	s.stdin = must(s.agent.StdinPipe())(t)
	s.lines = bufio.NewScanner(must(s.agent.StdoutPipe())(t))
	s.told = bufio.NewScanner(must(s.agent.StderrPipe())(t))
	require.NoError(t, s.agent.Start())
	t.Cleanup(func() {
		_ = s.agent.Process.Kill()
		_ = s.agent.Wait()
	})
	return s
}

// ignoreNothing lets an agent start as a kubelet starts it, though whoever runs the test
// may have it ignore signals, as nohup does: what a process catches, its children do not
// inherit as ignored.
func ignoreNothing(t *testing.T) {
	t.Helper()
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT)
	t.Cleanup(func() { signal.Stop(caught) })
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T { require.NoError(t, err); return value }
}

// deliver makes another generation with value, as the driver does: the old one goes
// away after the swap.
func (s *supervisor) deliver(value string) {
	s.number++
	old, next := fmt.Sprint("..", s.number-1), fmt.Sprint("..", s.number)
	manifest := must(os.ReadFile(filepath.Join(s.volume, old, layout.ManifestFile)))(s)
	writeFile(s, filepath.Join(s.volume, next, layout.ManifestFile), manifest)
	writeFile(s, filepath.Join(s.volume, next, "variables/region"), []byte(value))
	temp := filepath.Join(s.volume, layout.DataLinkTemp)
	require.NoError(s, os.Symlink(next, temp))
	require.NoError(s, os.Rename(temp, filepath.Join(s.volume, layout.DataLink)))
	require.NoError(s, os.RemoveAll(filepath.Join(s.volume, old)))
}

// require marks the variable as one that the pod asks for by name, from the next delivery on.
func (s *supervisor) require() {
	path := filepath.Join(s.volume, fmt.Sprint("..", s.number), layout.ManifestFile)
	manifest := must(os.ReadFile(path))(s)
	writeFile(s, path, bytes.Replace(manifest, []byte(`"state"`), []byte(`"required": true, "state"`), 1))
}

func (s *supervisor) says(line string) {
	s.Helper()
	require.True(s, s.lines.Scan(), "the program ended, but was to say %q", line)
	require.Equal(s, line, s.lines.Text())
}

func (s *supervisor) tells(part string) {
	s.Helper()
	require.True(s, s.told.Scan(), "the agent ended, but was to tell %q", part)
	require.Contains(s, s.told.Text(), part)
}

func (s *supervisor) send(number syscall.Signal) {
	s.Helper()
	require.NoError(s, s.agent.Process.Signal(number))
}

// ends makes sure that the program says nothing more, and the agent exits with code.
func (s *supervisor) ends(code int) {
	s.Helper()
	assert.False(s, s.lines.Scan(), "unexpected: %q", s.lines.Text())
	_ = s.agent.Wait()
	assert.Equal(s, code, s.agent.ProcessState.ExitCode())
}

// stops ends the program as kubelet does.
func (s *supervisor) stops() {
	s.Helper()
	s.send(unix.SIGTERM)
	s.says("SIGTERM")
	s.ends(3)
}

func TestEveryRotationIsSignalledOnce(t *testing.T) {
	s := supervise(t, "--on-rotate=signal:HUP")
	for number := range 1000 {
		s.deliver(fmt.Sprint(number + 1))
		s.says("SIGHUP")
		s.tells("sending SIGHUP")
	}
	s.stops()
}

func TestEveryRotationRestartsOnce(t *testing.T) {
	s := supervise(t, "--on-rotate=restart", "litter")
	for number := range 200 {
		s.deliver(fmt.Sprint(number + 1))
		s.says("SIGTERM")
		s.says(fmt.Sprint("start ", number+1))
		s.tells("restarting the program")
	}
	s.stops()
}

func TestARotationWaitsForTheDebounce(t *testing.T) {
	const debounce = 200 * time.Millisecond
	s := supervise(t, "--on-rotate=signal:HUP --debounce="+debounce.String())
	began := time.Now()
	s.deliver("1")
	s.says("SIGHUP") // perhaps by the first look, which waits for nothing
	s.deliver("2")
	s.says("SIGHUP")
	assert.GreaterOrEqual(t, time.Since(began), debounce)
	s.stops()
}

func TestUnchangedValuesDisturbNobody(t *testing.T) {
	for flags, answers := range map[string][]string{
		"--on-rotate=signal:HUP": {"SIGHUP"},
		"--on-rotate=restart":    {"SIGTERM", "start 1"},
	} {
		s := supervise(t, flags)
		for range 10 {
			s.deliver("0")
		}
		s.deliver("1")
		for _, answer := range answers {
			s.says(answer)
		}
		s.deliver("1")
		s.stops()
	}
}

func TestRestartKillsAfterTheGracePeriod(t *testing.T) {
	s := supervise(t, "--on-rotate=restart --grace=10ms", "deaf")
	for _, value := range []string{"1", "2"} {
		s.deliver(value)
		require.True(t, s.lines.Scan())
		if s.lines.Text() == "SIGTERM" { // it may have been killed before it could say so
			require.True(t, s.lines.Scan())
		}
		assert.Equal(t, "start "+value, s.lines.Text())
	}
	s.tells("generation 1: restarting the program")
	s.tells("did not end within the grace period; killing it")
}

func TestWhatChangesWhileTheProgramEndsTakesNoOtherRestart(t *testing.T) {
	s := supervise(t, "--on-rotate=restart --grace=1h", "slow")
	s.deliver("1")
	s.says("SIGTERM")
	s.deliver("2")
	s.send(unix.SIGUSR1)
	s.says("SIGUSR1")
	s.says("start 2")
	s.send(unix.SIGTERM)
	s.says("SIGTERM")
	s.send(unix.SIGUSR1)
	s.says("SIGUSR1")
	s.ends(5)
}

func TestStoppingWinsOverARestart(t *testing.T) {
	s := supervise(t, "--on-rotate=restart --grace=1h", "slow")
	s.deliver("1")
	s.says("SIGTERM")
	s.send(unix.SIGTERM) // kubelet's; the program has had one
	s.send(unix.SIGUSR2)
	s.says("SIGUSR2")
	s.deliver("2")
	s.send(unix.SIGUSR1)
	s.says("SIGUSR1")
	s.ends(5)
}

// A thread dump of a Java program, by QUIT, is not its end.
func TestAProgramThatOutlivesASignalToEndSeesRotations(t *testing.T) {
	s := supervise(t, "--on-rotate=restart --grace=50ms")
	s.send(unix.SIGQUIT)
	s.says("SIGQUIT")
	s.deliver("1")
	s.tells("the program goes on after a signal to end; acting on rotations again")
	s.says("SIGTERM")
	s.says("start 1")
}

func TestNoSignalTakesBackATermination(t *testing.T) {
	s := supervise(t, "--on-rotate=signal:HUP --grace=1ms", "slow")
	for _, number := range []syscall.Signal{unix.SIGTERM, unix.SIGQUIT, unix.SIGUSR2, unix.SIGUSR1} {
		s.send(number)
		s.says(unix.SignalName(number))
	}
	assert.False(t, s.told.Scan(), "the agent told %q", s.told.Text())
	s.ends(5)
}

// unprepared waits for HUP only after a line on its input, as a program does that takes
// its time to start.
const unprepared = `
import signal
print("start", flush=True)
input()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
while True: print(signal.sigwait({signal.SIGHUP}).name, flush=True)
`

func TestASignalWaitsForItsHandler(t *testing.T) {
	testneed.Program(t, "python3")
	s := superviseProgram(t, "--on-rotate=signal:SIGHUP", "python3", "-c", unprepared)
	s.says("start")
	s.deliver("1")
	s.tells("the program does not handle SIGHUP yet and would be killed by it; it is sent once the program does")
	_, err := io.WriteString(s.stdin, "prepare\n")
	require.NoError(t, err)
	s.says("SIGHUP")
	s.send(unix.SIGTERM)
	s.ends(143)
}

func TestAVolumeThatGoesAwayAndComesBack(t *testing.T) {
	s := supervise(t, "--on-rotate=signal:HUP")
	away := s.volume + "-away"
	require.NoError(t, os.Rename(s.volume, away))
	s.tells("keeping the program as it is: nothing is delivered yet")
	s.volume, away = away, s.volume
	s.deliver("1")
	require.NoError(t, os.Rename(s.volume, away))
	s.says("SIGHUP")
}

func TestAGenerationThatNobodyCanStartWithIsNotUsed(t *testing.T) {
	s := supervise(t, "--on-rotate=restart")
	s.deliver("n33dle\x00")
	s.tells("keeping the program as it is: generation 1: variable \"region\": the value holds a NUL byte")
	s.require()
	s.deliver(strings.Repeat("n33dle", 50_000))
	s.tells("keeping the program as it is: generation 1: AIRFLOW_VAR_REGION takes 300020 bytes")
	s.deliver("good")
	s.says("SIGTERM")
	s.says("start good")
}

// TestCtrlCReachesTheProgramOnce starts the agent at a terminal, whose Ctrl-C goes to
// the group in the foreground.
func TestCtrlCReachesTheProgramOnce(t *testing.T) {
	testneed.Program(t, "python3")
	terminal, line := newTerminal(t)
	command := testwait.Command(t, "agent", "exec", "--dir", newVolume(t, nil), "--on-rotate=restart", "--", "python3", "-c", everySignal)
	command.Stdin = line
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	s := &supervisor{T: t, agent: command, lines: bufio.NewScanner(must(command.StdoutPipe())(t))}
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	s.says("ready")
	_, err := terminal.Write([]byte{3})
	require.NoError(t, err)
	s.says("2")
	s.send(unix.SIGUSR1)
	s.says("10")
}

func newTerminal(t *testing.T) (terminal, line *os.File) {
	t.Helper()
	terminal = must(os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0))(t)
	require.NoError(t, unix.IoctlSetPointerInt(int(terminal.Fd()), unix.TIOCSPTLCK, 0))
	number := must(unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPTN))(t)
	line = must(os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0))(t)
	t.Cleanup(func() {
		_ = terminal.Close()
		_ = line.Close()
	})
	return terminal, line
}

func TestExitCodesAreTheProgramsOwn(t *testing.T) {
	for script, code := range map[string]int{
		"exit 0": 0, "exit 1": 1, "exit 255": 255, "kill -TERM $$": 143, "kill -KILL $$": 137, "kill -SEGV $$": 139, "kill -INT $$": 130,
	} {
		superviseProgram(t, "--on-rotate=restart", "sh", "-c", script).ends(code)
	}
	superviseProgram(t, "--on-rotate=restart", "nosuchprogram").ends(127)
	superviseProgram(t, "--on-rotate=restart", "/").ends(126)
	superviseProgram(t, "--on-rotate=signal:KILL", "true").ends(2)
}

// everySignal tells of every signal that a program can handle, by its number.
const everySignal = `
import signal
every = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
signal.pthread_sigmask(signal.SIG_BLOCK, every)
print("ready", flush=True)
while True: print(int(signal.sigwait(every)), flush=True)
`

func TestSignalsGoToTheProgramOnce(t *testing.T) {
	testneed.Program(t, "python3")
	s := superviseProgram(t, "--on-rotate=restart", "python3", "-c", everySignal)
	s.says("ready")
	for _, never := range []syscall.Signal{unix.SIGURG, unix.SIGCHLD, unix.SIGPIPE} {
		s.send(never)
	}
	for _, number := range []syscall.Signal{
		unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGTERM, unix.SIGWINCH,
		unix.SIGCONT, unix.SIGALRM, unix.SIGTSTP, unix.SIGIO, unix.SIGABRT, 35, 64,
	} {
		s.send(number)
		s.says(fmt.Sprint(int(number)))
	}
}

// orphan leaves a process to the first one of its namespace and waits until that has
// collected it.
const orphan = `
import os, sys
reading, writing = os.pipe()
if os.fork() == 0:
    inner = os.fork()
    if inner == 0:
        os.setsid(); os._exit(9)
    os.write(writing, b"%d" % inner); os._exit(0)
os.wait()
inner = int(os.read(reading, 20))
while True:
    try: os.kill(inner, 0)
    except ProcessLookupError: break
print("collected", os.getppid(), flush=True)
sys.exit(42)
`

func TestOrphansAreCollectedAndChangeNoExitCode(t *testing.T) {
	testneed.Program(t, "python3")
	volume := newVolume(t, nil)
	command := testwait.Command(t, "agent", "exec", "--dir", volume, "--on-rotate=restart", "--", "python3", "-c", orphan)
	command.SysProcAttr = testneed.PIDNamespace(t)
	out, err := command.Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, "collected 1\n", string(out))
	assert.Equal(t, 42, exit.ExitCode())
}

// A first process has to see to SIGTERM itself. One that comes while the agent is only
// starting is the Go runtime's, or the kernel's, which drops it: so the agent is given ever
// more time to start, and killed where it does not end.
func TestTheWaitOfAFirstProcessEndsAtTermination(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent")
	for _, args := range [][]string{
		{"wait", "--timeout=1h", "--dir", absent},
		{"exec", "--wait=1h", "--dir", absent, "--", "true"},
	} {
		code := 0
		for given := 50 * time.Millisecond; code != 143 && given < testwait.Limit/4; given *= 2 {
			command := testwait.Command(t, "agent", args...)
			command.SysProcAttr = testneed.PIDNamespace(t)
			require.NoError(t, command.Start())
			<-time.After(given)
			require.NoError(t, command.Process.Signal(unix.SIGTERM))
			kill := time.AfterFunc(max(time.Second, given), func() { _ = command.Process.Kill() })
			_ = command.Wait()
			kill.Stop()
			code = command.ProcessState.ExitCode()
		}
		assert.Equal(t, 143, code, args)
	}
}

func TestTheProgramDiesWithTheAgent(t *testing.T) {
	s := supervise(t, "--on-rotate=restart", "deaf")
	require.NoError(t, s.agent.Process.Kill())
	assert.False(t, s.lines.Scan(), "the program holds the pipe open as long as it lives")
}

func TestTheProgramMayBeDebuggedAndTheAgentTellsNothing(t *testing.T) {
	testneed.Program(t, "python3")
	s := superviseProgram(t, "--on-rotate=restart", "python3", "-c", `
import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True); input()`)
	s.says("1")
	s.deliver("n33dle")
	s.tells("generation 1: restarting the program")
	s.says("1")
	for _, file := range []string{"cmdline", "environ"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.agent.Process.Pid, file))
		if file == "environ" && (os.Geteuid() != 0 || errors.Is(err, fs.ErrPermission)) {
			assert.ErrorIs(t, err, fs.ErrPermission, "the agent is private even to its own user")
			continue // as to root where that may not trace others
		}
		require.NoError(t, err)
		assert.False(t, bytes.Contains(content, []byte("n33dle")), file)
	}
}
