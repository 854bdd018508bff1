package audit

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
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

func TestWriteIsOneLineForEachRecord(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, NewLog(&out).Write(record(), Record{Decision: Unauthenticated, Detail: "expired"}))
	assert.Equal(t, `{"time":"2026-05-01T12:00:00Z","method":"/m","peer":"10.0.0.1:1","tenant":"acme","dag":"billing","run":"run_1","task":"load","try":2,"kind":"connection","entry":"<warehouse>\n","version":"v","decision":"allowed"}
{"time":"0001-01-01T00:00:00Z","method":"","decision":"unauthenticated","detail":"expired"}
`, out.String())
}

// writes counts the writes that reach it, and fails if told.
type writes struct {
	bytes.Buffer
	count int
	err   error
}

func (w *writes) Write(p []byte) (int, error) {
	w.count++
	if w.err != nil {
		return 0, w.err
	}
	return w.Buffer.Write(p)
}

func TestWriteKeepsTheRecordsOfACallTogether(t *testing.T) {
	out := &writes{}
	log := NewLog(out)
	require.NoError(t, log.Write())
	assert.Zero(t, out.count)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() { assert.NoError(t, log.Write(record(), record(), record())) })
	}
	group.Wait()
	assert.Equal(t, 50, out.count)
	assert.Equal(t, 150, strings.Count(out.String(), "\n"))
}

func TestWriteTellsThatItCouldNot(t *testing.T) {
	err := NewLog(&writes{err: errors.New("disk full")}).Write(record())
	assert.EqualError(t, err, "writing audit log: disk full")
}
