package audit

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

func record() Record {
	return Record{
		Time:   time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
		Method: "/m", Peer: "10.0.0.1:1",
		Caller: auth.Caller{Tenant: "acme", DAG: "billing", Run: "run_1", Task: "load", Try: 2},
		Kind:   entry.Connection, Entry: "<warehouse>\n", Version: "v", Decision: Allowed,
	}
}

func write(t testing.TB, log *Log, records ...Record) error {
	t.Helper()
	return log.Write(t.Context(), slices.Values(records))
}

func TestWriteIsOneLineForEachRecord(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, write(t, NewLog(&out), record(), Record{Decision: Unauthenticated, Detail: "expired"}))
	assert.Equal(t, `{"time":"2026-05-01T12:00:00Z","method":"/m","peer":"10.0.0.1:1","tenant":"acme","dag":"billing","run":"run_1","task":"load","try":2,"kind":"connection","entry":"<warehouse>\n","version":"v","decision":"allowed"}
{"time":"0001-01-01T00:00:00Z","decision":"unauthenticated","detail":"expired"}
`, out.String())
}

// writes counts the writes that reach it, and fails if told.
type writes struct {
	mu sync.Mutex
	bytes.Buffer
	count int
	err   error
}

// begin empties it, and has it fail from now on where err is one.
func (w *writes) begin(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Reset()
	w.err = err
}

func (w *writes) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Buffer.String()
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	if w.err != nil {
		return 0, w.err
	}
	return w.Buffer.Write(p)
}

func TestWriteKeepsTheRecordsOfACallTogether(t *testing.T) {
	out := &writes{}
	log := NewLog(out)
	require.NoError(t, write(t, log))
	assert.Zero(t, out.count)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() { assert.NoError(t, write(t, log, record(), record(), record())) })
	}
	group.Wait()
	assert.Equal(t, 50, out.count)
	assert.Equal(t, 150, strings.Count(out.String(), "\n"))
}

func TestWriteTellsThatItCouldNot(t *testing.T) {
	err := write(t, NewLog(&writes{err: errors.New("disk full")}), record())
	assert.EqualError(t, err, "writing audit log: disk full")
}

// full takes some bytes of a write, as a disk that is full does.
type full struct {
	bytes.Buffer
	room int
}

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.room {
		n, _ := f.Buffer.Write(p[:f.room])
		f.room = 0
		return n, errors.New("disk full")
	}
	f.room -= len(p)
	return f.Buffer.Write(p)
}

func TestALineIsNotJoinedToATornOne(t *testing.T) {
	out := &full{room: 20}
	log := NewLog(out)
	require.Error(t, write(t, log, record()))
	require.Error(t, write(t, log, record()), "still full")
	out.room = 1 << 20
	require.NoError(t, write(t, log, record(), record()))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.Len(t, lines, 3)
	assert.Len(t, read(t, strings.Join(lines[1:], "\n")), 2)
}

// stuck takes nothing until it is let go.
type stuck struct {
	bytes.Buffer
	hold chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.hold
	return s.Buffer.Write(p)
}

func TestASlowSinkHoldsNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{hold: make(chan struct{})}
		log := NewLog(out)
		first := make(chan error, 1)
		go func() { first <- write(t, log, record()) }()
		synctest.Wait()
		began := time.Now()
		require.EqualError(t, write(t, log, record()), "writing audit log: it takes too long to write")
		assert.Equal(t, patience, time.Since(began))
		close(out.hold)
		require.NoError(t, <-first)
		require.NoError(t, write(t, log, record()), "it is back")
		assert.Len(t, read(t, out.String()), 2)
	})
}

// A call of any number of records takes the memory of some.
func TestRecordsAreStreamed(t *testing.T) {
	out := &writes{}
	log := NewLog(out)
	require.NoError(t, log.Write(t.Context(), func(yield func(Record) bool) {
		for range 65536 {
			if !yield(record()) {
				return
			}
		}
	}))
	assert.Equal(t, 65536, strings.Count(out.String(), "\n"))
	assert.Greater(t, out.count, 100)
	assert.Less(t, cap(log.lines), 4*atOnce)
}
