package mount

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// In the environment of a child that is to be killed: the target path that it works
// on, its work, and whether it is to do that once. See TestMain.
const (
	victimTarget = "LEOFLOW_TEST_VICTIM_TARGET"
	victimWork   = "LEOFLOW_TEST_VICTIM_WORK"
	victimOnce   = "LEOFLOW_TEST_VICTIM_ONCE"
)

// workUntilKilled does its work once, and then over and over until the kernel kills it at
// some point of the next five. That is reckoned in the process's own CPU time, so that it is
// hit at work however busy the machine is.
func workUntilKilled(target string) (exitCode int) {
	work := map[string]func(string, int) error{"rotate": rotate, "cycle": cycle, "renew": renew, "withdraw": withdraw, "hold": holdAndWithdraw, "publish": publish, "unpublish": unpublish, "folder": rotateFolder}[os.Getenv(victimWork)]
	if os.Getenv(victimOnce) != "" {
		return exitCodeOf(workOnce(work, target))
	}
	var before, after unix.Timespec
	for i := 0; ; i++ {
		err := errors.Join(unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &before), work(target, i))
		if i == 0 {
			err = errors.Join(err, unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &after),
				killAfter(rand.Int64N(5*(after.Nano()-before.Nano()))))
		}
		if err != nil {
			return exitCodeOf(err)
		}
	}
}

func exitCodeOf(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// killAfter has the kernel kill this process once it has worked for so many nanoseconds
// more. timer_create(2) has no wrapper; the struct is its sigevent.
func killAfter(nanoseconds int64) error {
	event := struct {
		value          uintptr
		signal, notify int32
		_              [48]byte
	}{signal: int32(unix.SIGKILL)}
	var timer int32
	if _, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_PROCESS_CPUTIME_ID,
		uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&timer))); errno != 0 {
		return errno
	}
	at := struct{ every, first unix.Timespec }{first: unix.NsecToTimespec(max(1, nanoseconds))}
	if _, _, errno := unix.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(timer), 0,
		uintptr(unsafe.Pointer(&at)), 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func rotate(target string, number int) error {
	_, err := Write(target, uniform(number))
	return err
}

// holdAndWithdraw rotates both entries, then one while the other is held, then takes one
// away and leaves the other as it is.
func holdAndWithdraw(target string, number int) error {
	content := uniform(number)
	switch number % 3 {
	case 1:
		content.Entries[0] = held(layout.Connection, "warehouse", "away since "+strconv.Itoa(number))
	case 2:
		content.Entries, content.Rest = []Entry{{Entry: layout.Entry{Kind: layout.Variable, ID: "region", State: layout.Denied}}}, true
	}
	_, err := Write(target, content)
	return err
}

func TestKilledWhileEntriesAreHeldAndWithdrawn(t *testing.T) {
	target := newVolume(t, megabyte)
	states := map[layout.State]int{}
	for round := range 60 {
		killAtWork(t, target, "hold")
		current, err := Current(target)
		require.NoError(t, err)
		files := 0
		for _, entry := range current.Manifest.Entries {
			state := entry.State
			if entry.Held != nil {
				state = "held"
			}
			states[state]++
			if entry.State != layout.Delivered {
				continue
			}
			files++
			value := readIn(t, target, entry.File)
			assert.Contains(t, readIn(t, target, layout.AirflowFile(entry.Kind)), `"`+entry.ID+`": "`+value+`"`)
			assert.Equal(t, entry.Version, value, "the line is of these bytes")
		}
		left, err := filepath.Glob(filepath.Join(target, layout.DataLink, "[cv]*", "*"))
		require.NoError(t, err)
		assert.Len(t, left, files, "what was taken away has no file")

		_, err = Write(target, uniform(1_000_000+round))
		require.NoError(t, err)
		assertShows(t, target, uniform(1_000_000+round))
	}
	for _, state := range []layout.State{layout.Delivered, "held", layout.Denied} {
		assert.NotZero(t, states[state], "no kill met an entry that is %s: the test tested nothing", state)
	}
}

func cycle(target string, number int) error {
	if err := publish(target, number); err != nil {
		return err
	}
	return Unmount(target)
}

// uniform is a content whose values are all the same, so that a mixture of two shows.
func uniform(number int) Content {
	content := newContent()
	for i, entry := range content.Entries {
		content.Entries[i] = newEntry(entry.Kind, entry.ID, strconv.Itoa(number))
		content.Entries[i].Version = strconv.Itoa(number)
	}
	return content
}

func TestKilledWriterLeavesAWholeGenerationThatTheNextWriteReplaces(t *testing.T) {
	target := newVolume(t, megabyte)
	leftovers := 0
	for round := range 50 {
		killAtWork(t, target, "rotate")
		require.NotEmpty(t, snapshot(t, target))
		leftovers += len(strayNames(t, target))

		content := uniform(1_000_000 + round)
		outcome, err := Write(target, content)
		require.NoError(t, err)
		assert.True(t, outcome.Changed)
		assertShows(t, target, content)
	}
	assert.NotZero(t, leftovers, "no kill hit a writer at work: the test tested nothing")
}

func TestKilledPublishOrUnpublishIsFinishedByTheNextCall(t *testing.T) {
	target := filepath.Join(t.TempDir(), "mount")
	caught := 0
	for round := range 50 {
		killAtWork(t, target, "cycle")
		if _, err := os.Lstat(filepath.Join(target, layout.DataLink)); err == nil {
			require.NotEmpty(t, snapshot(t, target), "what passes for complete is complete")
		}
		if _, err := os.Lstat(target); err == nil {
			caught++
		}
		require.NoError(t, publish(target, round))
		assertShows(t, target, uniform(round))
		require.NoError(t, Unmount(target))
		require.NoDirExists(t, target)
	}
	assert.NotZero(t, caught, "no kill hit a volume: the test tested nothing")
}

// killAtWork has a child work until the kernel kills it.
func killAtWork(t *testing.T, target, work string) {
	t.Helper()
	victim := testwait.Command(t, "/proc/self/exe")
	victim.Env = append(os.Environ(), victimTarget+"="+target, victimWork+"="+work)
	victim.Stderr = os.Stderr
	require.NoError(t, victim.Start())
	_ = victim.Wait() // it says that the child was killed
	require.True(t, victim.ProcessState.Sys().(syscall.WaitStatus).Signaled(), "the child ended by itself")
}

// strayNames are the hidden names at a volume's root that no whole write leaves.
func strayNames(t *testing.T, target string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(target, "..?*"))
	require.NoError(t, err)
	keep := []string{layout.DataLink, shown(t, target)}
	var stray []string
	for _, name := range names {
		if base := filepath.Base(name); base != keep[0] && base != keep[1] {
			stray = append(stray, base)
		}
	}
	return stray
}
