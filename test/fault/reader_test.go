package fault

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/envshim"
)

// reader reads every live volume again and again, with the agent's own code, and judges
// what it sees.
type reader struct {
	newest atomic.Int64
	reads  atomic.Int64
	wrong  atomic.Int64
	back   atomic.Bool // older values are right: core serves them
	// withdrawn is set while core may serve one entry less.
	withdrawn atomic.Bool

	mu    sync.Mutex
	shown map[string]int
	first string // what was wrong first
}

func startReader(t *testing.T, r *rig) *reader {
	t.Helper()
	read := &reader{shown: map[string]int{}}
	targets := make([]string, len(r.pods))
	for i, p := range r.pods {
		targets[i] = r.Kubelet.Target(p)
	}
	read.allow(r.mark)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			for _, target := range targets {
				read.volume(target)
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		testwait.Closed(t, ended)
		assert.Positive(t, read.reads.Load())
		assert.Zero(t, read.wrong.Load(), read.first)
	})
	return read
}

// allow says that values up to mark may be seen from now on.
func (r *reader) allow(mark int) { r.newest.Store(int64(mark)) }

// volume reads one generation. It must be whole, of values that core has served, and no
// older than what was seen before.
func (r *reader) volume(target string) {
	mark, entries, err := read(target)
	if err == nil && entries != entriesPerPod && (!r.withdrawn.Load() || entries != entriesPerPod-1) {
		err = errMissing
	}
	r.reads.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.fault(target + ": " + err.Error())
	case int64(mark) > r.newest.Load():
		r.fault(target + " shows values that were never served")
	case mark < r.shown[target] && !r.back.Load():
		r.fault(target + " went back to older values")
	default:
		r.shown[target] = mark
	}
}

func (r *reader) fault(what string) {
	r.wrong.Add(1)
	if r.first == "" {
		r.first = what
	}
}

var (
	errMixed   = errors.New("two generations in one snapshot")
	errMissing = errors.New("entries are missing")
)

// markOf is the mark of a volume that has all entries.
func markOf(target string) (int, error) {
	mark, entries, err := read(target)
	if err == nil && entries != entriesPerPod {
		err = errMissing
	}
	return mark, err
}

// read returns the one mark that all values of the volume carry, and how many they are; those
// that are held may carry an older mark.
func read(target string) (mark, entries int, err error) {
	snapshot, err := envshim.Read(target)
	if err != nil {
		return 0, 0, err
	}
	held := map[string]bool{}
	for _, line := range snapshot.Manifest.Entries {
		held[line.ID] = line.Held != nil
	}
	carried := -1
	mark = -1
	for _, entry := range snapshot.Entries {
		switch found := passwordOf(entry.Value.Reveal()); {
		case held[entry.ID]:
			carried = max(carried, found)
		case mark >= 0 && found != mark:
			return 0, 0, errMixed
		default:
			mark = found
		}
	}
	if mark < 0 || carried > mark {
		return 0, 0, errMixed
	}
	return mark, len(snapshot.Entries), nil
}

// passwordOf reads "postgres://etl:MARK@db".
func passwordOf(uri string) int {
	_, rest, _ := strings.Cut(uri, ":")
	_, rest, _ = strings.Cut(rest, ":")
	mark := 0
	for _, digit := range rest[:strings.IndexByte(rest, '@')] {
		mark = 10*mark + int(digit-'0')
	}
	return mark
}

// await waits until all volumes show the mark, and counts those that do not in time.
func (r *reader) await(mark int, within time.Duration) (lost int) {
	for deadline := time.Now().Add(within); ; {
		if lost = r.behind(mark); lost == 0 || time.Now().After(deadline) {
			return lost
		}
		<-time.After(time.Millisecond)
	}
}

// awaitFirst waits until one volume shows the mark, or at most so long.
func (r *reader) awaitFirst(mark int, within time.Duration) {
	for deadline := time.Now().Add(within); r.behind(mark) == podsPerRig && time.Now().Before(deadline); {
		<-time.After(100 * time.Microsecond)
	}
}

func (r *reader) behind(mark int) (count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, shown := range r.shown {
		if shown != mark {
			count++
		}
	}
	if len(r.shown) == 0 {
		return 1
	}
	return count
}
