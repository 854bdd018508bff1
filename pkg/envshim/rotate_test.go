package envshim

import (
	"errors"
	"hash/maphash"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestParseRotation(t *testing.T) {
	for text, rotation := range map[string]Rotation{
		"": {}, "restart": {restart: true},
		"signal:HUP": {signal: unix.SIGHUP}, "signal:SIGUSR1": {signal: unix.SIGUSR1}, "signal:term": {signal: unix.SIGTERM},
	} {
		parsed, err := ParseRotation(text)
		assert.NoError(t, err)
		assert.Equal(t, rotation, parsed)
	}
	for _, text := range []string{"reload", "signal", "signal:", "signal:KILL", "signal:SIGSTOP", "signal:HANGUP", "signal:1", " restart"} {
		_, err := ParseRotation(text)
		assert.ErrorContains(t, err, text)
	}
}

func TestFingerprintsTellEntriesApart(t *testing.T) {
	fingerprints := fingerprinter{maphash.MakeSeed()}
	a, b := variable("a", "1"), variable("b", "2")
	assert.Equal(t, fingerprints.of([]Entry{a, b}), fingerprints.of([]Entry{b, a}))
	for _, other := range [][]Entry{nil, {a}, {variable("a", "12")}, {a, variable("b", "")}, {variable("a", "2"), variable("b", "1")}} {
		assert.NotEqual(t, fingerprints.of([]Entry{a, b}), fingerprints.of(other))
	}
}

func TestChangesAreGatheredAndNotPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &supervision{Supervisor: Supervisor{OnRotate: Rotation{signal: unix.SIGHUP}, Debounce: 5 * time.Second}}
		began := time.Now()
		for range 4 {
			r.schedule(r.delay())
			time.Sleep(time.Second)
		}
		assert.Equal(t, 5*time.Second, (<-r.debounceTimer).Sub(began), "five seconds after the first change, however many follow")
		assert.Empty(t, r.debounceTimer, "one look for all of them")
	})
}

func TestNothingIsScheduledForWhoWantsNothing(t *testing.T) {
	for name, r := range map[string]*supervision{
		"no rotation is wanted":    {},
		"the program is to end":    {Supervisor: Supervisor{OnRotate: Rotation{restart: true}}, stopping: true},
		"the program is restarted": {Supervisor: Supervisor{OnRotate: Rotation{restart: true}}, next: &Program{}},
	} {
		r.schedule(0)
		assert.Nil(t, r.debounceTimer, name)
	}
}

func TestSplayIsAddedToTheDebounce(t *testing.T) {
	const debounce, splay = 2 * time.Second, 10 * time.Second
	r := &supervision{Supervisor: Supervisor{Debounce: debounce, Splay: splay}}
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		least, most = min(least, r.delay()), max(most, r.delay())
	}
	assert.GreaterOrEqual(t, least, debounce)
	assert.Less(t, least, debounce+splay/10)
	assert.Less(t, most, debounce+splay)
	assert.Greater(t, most, debounce+splay-splay/10)
}

// A program whose file is away for a moment is no less in need of what changed.
func TestWhatFailsIsToldOnceAndTriedAgain(t *testing.T) {
	volume, present := newVolume(t), false
	deliver(t, volume, numbered(1))
	var lines []string
	r := &supervision{
		Supervisor: Supervisor{
			Dir: volume, OnRotate: Rotation{restart: true}, Tell: func(line string) { lines = append(lines, line) },
			Build: func(Snapshot) (Program, error) {
				if present {
					return Program{}, nil
				}
				return Program{}, errors.New("no such file")
			},
		},
		fingerprinter: fingerprinter{maphash.MakeSeed()},
		child:         child{pid: math.MaxInt32},
	}
	synctest.Test(t, func(t *testing.T) {
		for range 3 {
			began := time.Now()
			r.rotate()
			require.NotNil(t, r.retryTimer)
			assert.Equal(t, slowPoll, (<-r.retryTimer).Sub(began))
		}
		assert.Equal(t, []string{"keeping the program as it is: generation 1: no such file"}, lines)
		present = true
		r.rotate()
		assert.Nil(t, r.retryTimer)
		assert.NotNil(t, r.next)
		assert.Equal(t, "generation 1: restarting the program", lines[1])
	})
}

// What handles no signal for good costs next to nothing.
func TestAProgramWithoutAHandlerIsLookedAtEverMoreSeldom(t *testing.T) {
	volume := newVolume(t)
	deliver(t, volume, numbered(1))
	deaf := testwait.Command(t, "sleep", "1h")
	require.NoError(t, deaf.Start())
	t.Cleanup(func() {
		_ = deaf.Process.Kill()
		_ = deaf.Wait()
	})
	told := 0
	r := &supervision{
		Supervisor:    Supervisor{Dir: volume, OnRotate: Rotation{signal: unix.SIGUSR1}, Tell: func(string) { told++ }},
		fingerprinter: fingerprinter{maphash.MakeSeed()},
		child:         child{pid: deaf.Process.Pid},
	}
	synctest.Test(t, func(t *testing.T) {
		began, looks := time.Now(), 0
		for ; time.Since(began) < 10*time.Minute; looks++ {
			r.rotate()
			require.NotNil(t, r.retryTimer)
			<-r.retryTimer
		}
		assert.Less(t, looks, 70)
	})
	assert.Equal(t, 1, told)
}
