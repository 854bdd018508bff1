package wire

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// works takes a millisecond of a processor.
func works() {
	for began := time.Now(); time.Since(began) < time.Millisecond; {
	}
}

// floods has a fetcher say the same without pause to whoever calls.
func (r *rig) floods(t *testing.T, said []byte) {
	t.Helper()
	r.endServer()
	(&liar{r.socket, func(l *line) {
		for {
			if _, err := l.conn.Write(said); err != nil {
				return
			}
		}
	}}).begin(t)
}

// A fetcher that tells of changes without pause has a tenth of the driver's time.
func TestAFloodOfChangesIsPaced(t *testing.T) {
	r := newRig(t)
	var change writer
	change.change(seam.Change{All: true})
	r.floods(t, frame(frameChanged, len(change.b), change.b))
	const changes = 20
	began, told := time.Now(), 0
	ctx, cancel := context.WithCancel(testwait.Context(t))
	defer cancel()
	_ = r.Watch(ctx, "core", func(seam.Change) {
		works()
		if told++; told == changes {
			cancel()
		}
	})
	assert.GreaterOrEqual(t, told, changes)
	assert.Greater(t, time.Since(began), 9*(changes-1)*time.Millisecond)
}

// Nor one that asks without pause how the node is.
func TestAFloodOfQuestionsIsPaced(t *testing.T) {
	r := newRig(t)
	r.floods(t, frame(frameAsk, 0, nil))
	const questions = 20
	began, asked := time.Now(), 0
	ctx, cancel := context.WithCancel(testwait.Context(t))
	defer cancel()
	r.Report(ctx, &Reports{}, func() []byte {
		works()
		if asked++; asked == questions {
			cancel()
		}
		return nil
	})
	assert.GreaterOrEqual(t, asked, questions)
	assert.Greater(t, time.Since(began), 9*(questions-1)*time.Millisecond)
}

// A fetcher that hangs up on every watch has all looked at ten times a second, and no more often.
func TestAWatchThatIsClosedAgainAndAgainIsPaced(t *testing.T) {
	r := newRig(t)
	r.endServer()
	(&liar{r.socket, func(l *line) { _ = l.conn.Close() }}).begin(t)
	const watches = 4
	began, told := time.Now(), 0
	ctx, cancel := context.WithCancel(testwait.Context(t))
	defer cancel()
	_ = r.Watch(ctx, "core", func(seam.Change) {
		if told++; told == watches {
			cancel()
		}
	})
	assert.GreaterOrEqual(t, told, watches)
	assert.Greater(t, time.Since(began), (watches-1)*againAfter)
}

// Who connects and hangs up without pause is let in a few hundred times a second, and a few dozen times
// as another process than before.
func TestConnectionsArePaced(t *testing.T) {
	for name, most := range map[string]int{"the same": connectionsOfSecond, "another": newcomersOfSecond} {
		t.Run(name, func(t *testing.T) {
			var came atomic.Int32
			r := newRigFor(t, uint32(os.Geteuid()))
			r.Returned = func() { came.Add(1) }
			server := NewServer(ServerConfig{Socket: r.socket, Fetcher: &half{}})
			began := time.Now()
			for i := range most {
				if name == "another" {
					server.instance = fmt.Sprint(i)
				}
				ctx := testwait.Context(t)
				l, err := server.dial(ctx)
				for err != nil && ctx.Err() == nil { // where too many are greeted at once, the driver hangs up
					l, err = server.dial(ctx)
				}
				require.NoError(t, err)
				defer func() { _ = l.conn.Close() }()
				if i == 0 { // until then the next is another's, too
					require.Eventually(t, func() bool { return r.isThere(server.instance) }, testwait.Limit, time.Millisecond)
				}
			}
			if name == "another" {
				require.Eventually(t, func() bool { return int(came.Load()) == most }, testwait.Limit, time.Millisecond)
			}
			assert.Greater(t, time.Since(began), time.Second)
		})
	}
}

// A process that has ended while it waited to be let in does not take the place of the one after it.
func TestWhoHasHungUpIsNotLetIn(t *testing.T) {
	for name, begin := range map[string]func(s *Server, l *line) error{
		"welcomed": (*Server).handshake,
		"before it had read that it is welcome": func(s *Server, l *line) error {
			l.start(frameHello).hello(hello{build: s.build, instance: s.instance})
			if err := l.send(); err != nil {
				return err
			}
			raw, err := l.conn.SyscallConn()
			if err != nil {
				return err
			}
			return raw.Read(func(fd uintptr) bool { // until it has come
				count, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
				return err == nil && count > 0
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRigFor(t, uint32(os.Geteuid()))
			for range newcomersOfSecond * 4 / 5 { // which are all
				require.NoError(t, r.newcomers.Wait(t.Context(), ""))
			}
			server := NewServer(ServerConfig{Socket: r.socket, Fetcher: r.half})
			conn, err := new(net.Dialer).DialContext(t.Context(), "unix", r.socket)
			require.NoError(t, err)
			require.NoError(t, begin(server, &line{conn: conn.(*net.UnixConn)}))
			require.NoError(t, conn.Close())
			r.log.Await(t, "it has hung up")
			assert.False(t, r.isThere(server.instance))
		})
	}
}

// What a fetcher was told and had not counted as it ended, the next is told.
func TestWhatAFetcherHadNotCountedTheNextIsTold(t *testing.T) {
	r := newRig(t)
	r.endServer()
	reports, got := &Reports{}, make(chan string, 1)
	reports.Called(report.Call{Method: "NodePublishVolume", Code: "OK", Took: time.Second})
	run(t, func(ctx context.Context) error { r.Report(ctx, reports, func() []byte { return nil }); return nil })
	killed := &liar{r.socket, func(l *line) {
		if l.readHeader() == nil {
			text, _ := l.readShort(mostWork)
			got <- text
		}
		_ = l.conn.Close()
	}}
	ctx, cancel := context.WithCancel(testwait.Context(t))
	defer cancel()
	go killed.serve(ctx)
	assert.NotEmpty(t, testwait.Receive(t, got))
	sink := &ledger{more: make(chan struct{}, 9)}
	server := NewServer(ServerConfig{Socket: r.socket, Fetcher: r.half, Sink: sink, Readers: r.Readers})
	run(t, server.Run)
	testwait.Receive(t, sink.more)
	reports.Panicked()
	testwait.Receive(t, sink.more)
	assert.Equal(t, []any{report.Call{Method: "NodePublishVolume", Code: "OK", Took: time.Second}, "panic"}, sink.told)
	require.Eventually(t, func() bool { return len(reports.uncounted()) == 0 }, testwait.Limit, time.Millisecond)
}

// Who has counted what nobody told has it wrong.
func TestNothingIsCountedThatWasNotTold(t *testing.T) {
	r := newRig(t)
	r.floods(t, frame(frameCounted, 0, nil))
	ctx, cancel := context.WithCancel(testwait.Context(t))
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); r.Report(ctx, &Reports{}, func() []byte { return nil }) }()
	r.log.Await(t, "it has counted what it was not told")
	cancel()
	testwait.Closed(t, ended)
}

// However much the last one left uncounted, the next is told all of it, and says of each that it has counted it.
func TestMuchThatWasNotCountedIsToldAgain(t *testing.T) {
	const told = 3000
	r := newRig(t)
	reports := &Reports{}
	for range told { // as to one that never says so
		reports.Panicked()
		reports.take()
	}
	run(t, func(ctx context.Context) error { r.Report(ctx, reports, func() []byte { return nil }); return nil })
	began := time.Now()
	require.Eventually(t, func() bool { return len(reports.uncounted()) == 0 }, testwait.Limit, time.Millisecond)
	assert.Less(t, time.Since(began), silence)
	assert.NotContains(t, r.log.String(), "the fetcher has gone")
}

// A fetcher that never says that it has counted anything takes of the driver's memory what there is for that.
func TestWhatIsNotCountedIsBounded(t *testing.T) {
	const told = uint64(mostUnreported / 8)
	reports := &Reports{}
	for range told {
		reports.Panicked()
		reports.take()
	}
	held, kept := 0, uint64(len(reports.uncounted()))
	for _, one := range reports.uncounted() {
		held += cap(one) + int(unsafe.Sizeof(one))
	}
	assert.Less(t, held, mostUnreported)
	for len(reports.uncounted()) > 0 {
		require.NoError(t, reports.counted())
	}
	r := reader{rest: string(reports.take())}
	assert.Equal(t, recordLost, r.byte())
	assert.Equal(t, told, r.uint()+kept)
	assert.True(t, r.end())
}

// A fetcher that only says that it is at work, and that without pause, has a tenth of the driver's time, too.
func TestAFloodOfSignsOfLifeIsPaced(t *testing.T) {
	r := newRig(t)
	alive := slices.Repeat([]byte{partAlive}, mostLines/2)
	r.floods(t, answered("", func(w *writer) { w.b = append(w.b, alive...) }))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	before := processorTime(t)
	require.ErrorIs(t, r.Fetch(ctx, workOf(1), &basket{}), context.DeadlineExceeded)
	assert.Less(t, processorTime(t)-before, time.Second/2)
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
