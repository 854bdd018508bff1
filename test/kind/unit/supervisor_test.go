package unit

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// The test binary is also the programs that are supervised, by its name.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "lasting":
		report()
		notify("STATUS=soon\n")
		notify("STATUS=now\nREADY=1\n")
		wait := make(chan os.Signal, 1)
		signal.Notify(wait, syscall.SIGTERM)
		<-wait
	case "failing":
		_, _ = os.Stdout.WriteString("why it failed\n")
		os.Exit(3)
	default:
		goleak.VerifyTestMain(m)
	}
}

// report tells the test which process runs.
func report() {
	connection, err := net.Dial("unix", os.Getenv("REPORTS"))
	if err != nil {
		panic(err)
	}
	_, _ = connection.Write([]byte(strconv.Itoa(os.Getpid()) + "\n"))
	_ = connection.Close()
}

func notify(message string) {
	connection, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return // a unit that does not notify
	}
	_, _ = connection.Write([]byte(message))
	_ = connection.Close()
}

func TestUnitsAreStartedInOrderAndStartedAgain(t *testing.T) {
	s := newStand(t)
	lasting := Unit{Name: "lasting", Notifies: true}
	require.NoError(t, s.Boot(s.ctx, [][]Unit{{lasting}, {{Name: "lasting"}}}))
	first, second := s.started(), s.started()
	assert.NotEqual(t, first, second)

	require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
	again := s.started()
	assert.NotContains(t, []int{first, second}, again)
	assert.Contains(t, s.read("supervisor"), `msg=ended unit=lasting cause="signal killed"`)
}

func TestBootFailsWithAUnitThatEndsBeforeItIsReady(t *testing.T) {
	s := newStand(t)
	err := s.Boot(s.ctx, [][]Unit{{{Name: "failing", Notifies: true}}})
	assert.EqualError(t, err, "starting failing: it ended (exit code 3) before it was ready; its log says why")
	assert.Equal(t, "why it failed\n", s.read("failing"))
}

func TestBootFailsWithAUnitThatIsNotThere(t *testing.T) {
	s := newStand(t)
	err := s.Boot(s.ctx, [][]Unit{{{Name: "absent"}}})
	assert.ErrorContains(t, err, "starting absent: ")
}

func TestBootEndsWithItsContext(t *testing.T) {
	s := newStand(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// Its notifications go nowhere, so it is never ready.
	err := s.Boot(ctx, [][]Unit{{{Name: "lasting", Notifies: true}}})
	s.started()
	assert.ErrorIs(t, err, context.Canceled)
}

func TestIsReady(t *testing.T) {
	for message, want := range map[string]bool{
		"READY=1": true, "STATUS=x\nREADY=1\n": true, "READY=0": false, "XREADY=1": false, "": false,
	} {
		assert.Equal(t, want, isReady([]byte(message)), message)
	}
}

// stand is a supervisor with programs to start, in a directory of its own.
type stand struct {
	*Supervisor
	t       *testing.T
	ctx     context.Context
	dir     string
	reports net.Listener
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{t: t, dir: t.TempDir()}
	self, err := os.Executable()
	require.NoError(t, err)
	for _, program := range []string{"lasting", "failing"} {
		require.NoError(t, os.Symlink(self, filepath.Join(s.dir, program)))
	}
	t.Setenv("PATH", s.dir)
	t.Setenv("REPORTS", filepath.Join(s.dir, "reports"))
	s.reports, err = net.Listen("unix", os.Getenv("REPORTS"))
	require.NoError(t, err)
	log, err := os.Create(filepath.Join(s.dir, "supervisor.log"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	s.ctx = ctx
	t.Cleanup(func() {
		cancel()
		_ = s.reports.Close()
	})
	s.Supervisor = NewSupervisor(ctx, s.dir, s.dir, slog.New(slog.NewTextHandler(log, nil)))
	return s
}

func (s *stand) read(log string) string {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(s.dir, log+".log"))
	require.NoError(s.t, err)
	return string(content)
}

// started waits for the next program to start. It is killed when the test ends.
func (s *stand) started() (pid int) {
	s.t.Helper()
	connection, err := s.reports.Accept()
	require.NoError(s.t, err)
	line, err := bufio.NewReader(connection).ReadString('\n')
	require.NoError(s.t, err)
	pid, err = strconv.Atoi(strings.TrimSpace(line))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	return pid
}
