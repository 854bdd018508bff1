package wire

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

func TestChangesAreToldInTheirOrder(t *testing.T) {
	r := newRig(t)
	changes := []seam.Change{
		{Entries: []layout.Name{name("conn_0"), {Kind: layout.Variable, ID: "region"}}, Namespace: "airflow"},
		{All: true}, {Entries: []layout.Name{name("conn_1")}},
	}
	r.half.watch = func(_ context.Context, source string, notify func(seam.Change)) error {
		assert.Equal(t, "vault", source)
		for _, change := range changes {
			notify(change)
		}
		return fmt.Errorf("it is over: %w", call.ErrWatchUnsupported)
	}
	var got []seam.Change
	err := r.Watch(t.Context(), "vault", func(change seam.Change) { got = append(got, change) })
	require.ErrorIs(t, err, call.ErrWatchUnsupported)
	assert.Subset(t, changes, got)
}

// What changed while there was no fetcher, nobody can tell: it is all looked at.
func TestAWatchOutlivesItsFetcher(t *testing.T) {
	r := newRig(t)
	begun := make(chan struct{}, 8)
	r.half.watch = func(ctx context.Context, _ string, _ func(seam.Change)) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	told := make(chan seam.Change, 8)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Watch(ctx, "core", func(change seam.Change) { told <- change }) }()
	testwait.Receive(t, begun)
	r.endServer()
	r.startServer(t)
	testwait.Receive(t, begun)
	assert.Equal(t, seam.Change{All: true}, testwait.Receive(t, told))
	cancel()
	require.ErrorIs(t, testwait.Receive(t, ended), context.Canceled)
}

func TestTooManyChangesAreTheChangeOfEverything(t *testing.T) {
	news := changes{more: make(chan struct{}, 1)}
	news.add(seam.Change{Entries: make([]layout.Name, 10)})
	news.add(seam.Change{Entries: make([]layout.Name, mostUnsent)})
	assert.Equal(t, []seam.Change{{All: true}}, news.take())
	assert.Empty(t, news.take())
}

// The names of a frame take many times the two bytes that each may be said in.
func TestNoMoreChangesAreTakenThanAreTold(t *testing.T) {
	for count, isBad := range map[int]bool{mostUnsent: false, mostUnsent + 1: true} {
		var w writer
		w.change(seam.Change{Entries: make([]layout.Name, count)})
		r := reader{rest: string(w.b)}
		change := r.change()
		assert.Equal(t, isBad, r.isBad)
		assert.LessOrEqual(t, len(change.Entries), mostUnsent)
	}
}

// ledger is a Sink that keeps what it is told.
type ledger struct {
	mu   sync.Mutex
	told []any
	more chan struct{}
}

func (l *ledger) add(one any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, one)
	l.more <- struct{}{}
}

func (l *ledger) Called(one report.Call)        { l.add(one) }
func (l *ledger) Delivered(one report.Delivery) { l.add(one) }
func (l *ledger) Panicked()                     { l.add("panic") }
func (l *ledger) Record(volume report.Volume, reason report.EventReason, message string) {
	l.add([]any{volume, reason, message})
}

func TestWhatTheDriverDidIsToldAndHowItIs(t *testing.T) {
	r := newRig(t)
	r.endServer()
	sink, reports := &ledger{more: make(chan struct{}, 100)}, &Reports{}
	volume := report.Volume{ID: "csi-1", Source: "core", Namespace: "airflow", Pod: "pod", PodUID: "uid", ServiceAccount: "etl"}
	reports.Called(report.Call{Method: "NodePublishVolume", Code: "OK", Took: time.Second})
	reports.Delivered(report.Report{Volume: volume, Cause: "watch", Changed: true, WasLive: true, Took: 3, Lag: 4})
	reports.Panicked()
	r.server = NewServer(ServerConfig{Socket: r.socket, Fetcher: r.half, Sink: sink, Readers: r.Readers})
	_, err := r.server.State(t.Context())
	require.ErrorIs(t, err, errNoDriver)
	run(t, r.server.Run)
	run(t, func(ctx context.Context) error {
		r.Report(ctx, reports, func() []byte { return []byte("fine") })
		return nil
	})
	for range 3 {
		testwait.Receive(t, sink.more)
	}
	reports.Record(volume, report.EventEntryHeld, "held")
	// Who asks how it is has been told before what happened.
	var state []byte
	require.Eventually(t, func() bool {
		state, err = r.server.State(t.Context())
		return err == nil
	}, testwait.Limit, time.Millisecond)
	assert.Equal(t, "fine", string(state))
	testwait.Receive(t, sink.more)
	assert.Equal(t, []any{
		report.Call{Method: "NodePublishVolume", Code: "OK", Took: time.Second},
		report.Delivery{Source: "core", Cause: "watch", Outcome: "delivered", Rotated: true, Took: 3, Lag: 4},
		"panic", []any{volume, report.EventEntryHeld, "held"},
	}, sink.told)
}

// Nobody waits for a fetcher to count, and what is too much is counted itself.
func TestReportsAreBounded(t *testing.T) {
	var reports Reports
	record := func() { reports.Record(report.Volume{}, report.EventEntryHeld, string(make([]byte, 1000))) }
	for range 3 * mostUnreported / 1000 {
		record()
	}
	taken := reports.take()
	assert.Less(t, len(taken), mostUnreported+100)
	assert.Equal(t, recordLost, taken[len(taken)-3])
	assert.Empty(t, reports.take())
	record()
	assert.Empty(t, reports.take(), "what is sent takes room until it is counted, and so would a loss")
	require.NoError(t, reports.counted())
	assert.Equal(t, []byte{recordLost, 1}, reports.take())
	record()
	assert.Greater(t, len(reports.take()), 1000)
}

// What the driver was not told of yet it is told of together: it takes its time between two changes.
func TestChangesThatWaitAreToldTogether(t *testing.T) {
	news := changes{more: make(chan struct{}, 1)}
	one := make([]layout.Name, 1, 9)
	one[0] = name("a")
	own := one[:2]
	for _, change := range []seam.Change{
		{Entries: one}, {Entries: []layout.Name{name("b")}}, {Entries: []layout.Name{name("c")}, Namespace: "etl"},
		{All: true}, {All: true}, {Entries: []layout.Name{name("d")}}, {Entries: []layout.Name{name("e")}},
	} {
		news.add(change)
	}
	assert.Equal(t, []seam.Change{
		{Entries: []layout.Name{name("a"), name("b")}}, {Entries: []layout.Name{name("c")}, Namespace: "etl"},
		{All: true}, {All: true}, {Entries: []layout.Name{name("d"), name("e")}},
	}, news.take())
	assert.Empty(t, own[1], "the source's own stays as it is")
}
