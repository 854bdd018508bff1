package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// half is a Fetcher that is told what to do.
type half struct {
	fetch func(ctx context.Context, work seam.Work, taker seam.Taker) error
	watch func(ctx context.Context, source string, notify func(seam.Change)) error
}

func (*half) Sources() []string { return []string{"core", "vault"} }

func (*half) Source(name string) (seam.Source, bool) {
	return seam.Source{IsGrouped: name == "core", IsWatched: true, FetchFor: time.Minute, PollEvery: time.Hour}, true
}

func (*half) IsThere() bool { return true }

func (h *half) Fetch(ctx context.Context, work seam.Work, taker seam.Taker) error {
	return h.fetch(ctx, work, taker)
}

func (h *half) Watch(ctx context.Context, source string, notify func(seam.Change)) error {
	return h.watch(ctx, source, notify)
}

// basket is a Taker that keeps what it is handed.
type basket struct {
	mu      sync.Mutex
	told    []seam.Told
	places  int
	answers map[int]seam.Answer
}

func (b *basket) Told(how seam.Told) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, how)
}

func (b *basket) Place() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.places++
}

func (b *basket) Take(i int, answer seam.Answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answers == nil {
		b.answers = map[int]seam.Answer{}
	}
	b.answers[i] = answer
}

// rig is both ends on a real socket.
type rig struct {
	*Driver
	server *Server
	half   *half
	socket string
	log    *testwait.Output
	// endServer and endDriver end one of them, and wait for that.
	endServer, endDriver func()
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := newRigFor(t, uint32(os.Geteuid()))
	r.startServer(t)
	return r
}

// newRigFor has a driver alone, that waits for a fetcher of the user.
func newRigFor(t testing.TB, user uint32) *rig {
	t.Helper()
	r := &rig{half: &half{}, socket: filepath.Join(t.TempDir(), "fetcher.sock"), log: new(testwait.Output)}
	readers := report.Readers{Log: slog.New(slog.NewJSONHandler(r.log, nil))}
	r.Driver = NewDriver(DriverConfig{Fetcher: user, Readers: readers})
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", r.socket)
	require.NoError(t, err)
	r.endDriver = run(t, func(ctx context.Context) error { return r.Serve(ctx, listener) })
	return r
}

func (r *rig) startServer(t testing.TB) {
	t.Helper()
	r.server = NewServer(ServerConfig{Socket: r.socket, Fetcher: r.half, Readers: r.Readers})
	r.endServer = run(t, r.server.Run)
	<-r.Come()
}

// run runs until end is called, or the test has ended.
func run(t testing.TB, do func(context.Context) error) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- do(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, testwait.Receive(t, ended))
	})
	t.Cleanup(end)
	return end
}

func name(id string) layout.Name { return layout.Name{Kind: layout.Connection, ID: id} }

// workOf is what so many new pods ask core for.
func workOf(volumes int) seam.Work {
	work := seam.Work{Source: "core", Room: 1 << 20, Least: 5, Request: call.Request{
		Connections: call.Selection{Names: []string{"conn_0", "conn_1"}}, Variables: call.Selection{Names: []string{"region"}},
		MaxBytes: 64 << 10,
	}}
	for i := range volumes {
		work.Volumes = append(work.Volumes, seam.Volume{
			ID: fmt.Sprint("csi-", i), Format: seam.URI, Failures: 3,
			Pod: call.Identity{
				Namespace: "airflow", ServiceAccount: "etl", PodName: "pod", PodUID: "uid", Token: secret.New("token"),
				CloudTokens: map[string]secret.Text{"vault": secret.New("another")},
			},
			Shown: []seam.Shown{{Name: name("conn_0"), Env: "AIRFLOW_CONN_CONN_0"}},
		})
	}
	return work
}

func delivered(id, value string) seam.Entry {
	return seam.Entry{
		Entry: layout.Entry{
			Kind: layout.Connection, ID: id, State: layout.Delivered, Env: "AIRFLOW_CONN_" + upper(id), File: "connections/" + id,
			Version: "v1", Source: "core", Rule: "rule", Grade: &layout.Grade{State: "valid", Reason: "because"},
			Notices: []layout.Notice{{Code: "code", Message: "message"}},
		},
		Value: []byte(value), JSON: jsontext.AppendText(nil, value),
	}
}

func upper(id string) string {
	made := []byte(id)
	for i, c := range made {
		if 'a' <= c && c <= 'z' {
			made[i] = c - 'a' + 'A'
		}
	}
	return string(made)
}

func answerOf(entries ...seam.Entry) seam.Answer {
	return seam.Answer{Entries: entries, Fetched: time.Unix(1_700_000_000, 123), Refers: true}
}

// answering tells and hands everybody the answer.
func answering(answer func(i int) seam.Answer) func(context.Context, seam.Work, seam.Taker) error {
	return func(_ context.Context, work seam.Work, taker seam.Taker) error {
		taker.Told(seam.Told{Errs: make([]error, len(work.Volumes)), Each: 77})
		for i := range work.Volumes {
			taker.Place()
			taker.Take(i, answer(i))
		}
		return nil
	}
}

func TestWhatIsAskedAndAnsweredGoesAcrossWhole(t *testing.T) {
	r := newRig(t)
	for _, volumes := range []int{1, 2, 20} {
		var asked seam.Work
		r.half.fetch = func(ctx context.Context, work seam.Work, taker seam.Taker) error {
			asked = work
			return answering(func(i int) seam.Answer {
				variable := delivered("region", "north")
				variable.Kind, variable.Env, variable.File, variable.JSON, variable.Grade = layout.Variable, "AIRFLOW_VAR_REGION", "variables/region", nil, nil
				refused := seam.Refused(name("conn_1"), layout.Denied, "no")
				refused.Refers, refused.TooLarge = true, true
				first := delivered("conn_0", fmt.Sprint("value-", i/7))
				first.Identity = "aws"
				answer := answerOf(first, refused, variable)
				answer.Identities = []seam.Identity{identityAtAWS()}
				return answer
			})(ctx, work, taker)
		}
		work, got := workOf(volumes), &basket{}
		require.NoError(t, r.Fetch(t.Context(), work, got))
		assert.Equal(t, work, asked)
		require.Len(t, got.told, 1)
		assert.Equal(t, seam.Told{Errs: make([]error, volumes), Each: 77}, got.told[0])
		assert.Equal(t, volumes, got.places)
		require.Len(t, got.answers, volumes)
		for i, answer := range got.answers {
			require.Len(t, answer.Entries, 3)
			first := delivered("conn_0", fmt.Sprint("value-", i/7))
			first.Identity = "aws"
			assert.Equal(t, first, answer.Entries[0])
			assert.Equal(t, []seam.Identity{identityAtAWS()}, answer.Identities)
			assert.Equal(t, "no", answer.Entries[1].Reason())
			assert.True(t, answer.Entries[1].Refers && answer.Entries[1].TooLarge)
			assert.Nil(t, answer.Entries[2].JSON)
			assert.Equal(t, "variables/region", answer.Entries[2].File)
			assert.True(t, answer.Fetched.Equal(time.Unix(1_700_000_000, 123)) && answer.Refers)
		}
	}
}

// A password of 60 KB in another script fills its memory as it is, and is three times as long in a URI.
func TestAValueThatIsWrittenLongerIsTaken(t *testing.T) {
	r := newRig(t)
	work := workOf(1)
	work.Room = work.MaxBytes
	long := delivered("conn_0", strings.Repeat("%E7", 60_000))
	long.JSON = []byte(`"` + strings.Repeat("x", 60_000) + `"`)
	r.half.fetch = func(_ context.Context, _ seam.Work, taker seam.Taker) error {
		taker.Told(seam.Told{Errs: []error{nil}, Each: 60_000})
		taker.Place()
		taker.Take(0, answerOf(long))
		return nil
	}
	got := &basket{}
	require.NoError(t, r.Fetch(t.Context(), work, got))
	assert.Len(t, got.answers[0].Entries[0].Value, 3*60_000)
}

// Airflow writes a float that is no number as NaN, and an extra of 200 levels, the most that is read, is
// a level deeper within its connection.
func TestWhateverAirflowReadsAsJSONIsTaken(t *testing.T) {
	r := newRig(t)
	for _, extra := range []string{`{"a":NaN,"b":[Infinity,-Infinity]}`, strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200)} {
		conn, err := airflow.Parse("conn_0", "http://?__extra__="+url.QueryEscape(extra))
		require.NoError(t, err)
		one := delivered("conn_0", "v")
		one.JSON = conn.JSON()
		r.half.fetch = answering(func(int) seam.Answer { return answerOf(one) })
		got := &basket{}
		require.NoError(t, r.Fetch(t.Context(), workOf(1), got))
		assert.Equal(t, string(one.JSON), string(got.answers[0].Entries[0].JSON))
	}
}

// What an error is for is known at the other end.
func TestErrorsAreToldApartAcrossTheLine(t *testing.T) {
	r := newRig(t)
	for _, why := range []error{
		call.ErrUnavailable, call.ErrDenied, call.ErrUnauthenticated, call.ErrProtocol, call.ErrTooLarge,
		call.OfCall(fmt.Errorf("%w: slow", call.ErrUnavailable)), call.OfAccount(fmt.Errorf("%w: often", call.ErrUnavailable)),
		report.Failf(report.Internal, report.ErrPanic, "fault"), seam.ErrOutgrown, errors.New("else"),
	} {
		r.half.fetch = func(_ context.Context, _ seam.Work, taker seam.Taker) error {
			taker.Told(seam.Told{Errs: []error{why}})
			taker.Place()
			taker.Take(0, seam.Answer{Err: why, Offline: why, Entries: []seam.Entry{seam.Refused(name("conn_0"), layout.Missing, "")}})
			return nil
		}
		got := &basket{}
		require.NoError(t, r.Fetch(t.Context(), workOf(1), got))
		for _, err := range []error{got.told[0].Errs[0], got.answers[0].Err, got.answers[0].Offline} {
			require.EqualError(t, err, why.Error())
			for _, one := range wrapped() {
				assert.Equal(t, errors.Is(why, one), errors.Is(err, one), "%v: %v", why, one)
			}
			assert.Equal(t, call.IsOfAccount(why), call.IsOfAccount(err))
			assert.Equal(t, call.IsOfCall(why), call.IsOfCall(err))
		}
		assert.Len(t, got.answers[0].Entries, 1)
	}
}

func TestAnAnswerThatOutgrowsItsMemoryIsToldAndNoMore(t *testing.T) {
	r := newRig(t)
	r.half.fetch = func(_ context.Context, _ seam.Work, taker seam.Taker) error {
		taker.Told(seam.Told{Errs: []error{nil}, Each: 5, Outgrown: true})
		return nil
	}
	for range 3 {
		got := &basket{}
		require.NoError(t, r.Fetch(t.Context(), workOf(1), got))
		assert.True(t, got.told[0].Outgrown)
		assert.Empty(t, got.answers)
	}
}

func TestWhatFetchLeavesOutIsAnError(t *testing.T) {
	r := newRig(t)
	r.half.fetch = func(_ context.Context, _ seam.Work, taker seam.Taker) error {
		taker.Told(seam.Told{Errs: make([]error, 2)})
		taker.Place()
		taker.Take(1, answerOf())
		return nil
	}
	got := &basket{}
	require.ErrorContains(t, r.Fetch(t.Context(), workOf(2), got), "there is no answer")
	assert.Len(t, got.answers, 1)
	r.half.fetch = func(context.Context, seam.Work, seam.Taker) error { panic("n33dle") }
	require.ErrorIs(t, r.Fetch(t.Context(), workOf(1), &basket{}), report.ErrPanic)
	assert.NotContains(t, r.log.String(), "n33dle")
}

// The driver is told how a call ended though no answer goes with it for long.
func TestTheEndOfACallDoesNotWaitForItsAnswers(t *testing.T) {
	r := newRig(t)
	go1, told := make(chan struct{}), make(chan struct{})
	r.half.fetch = func(_ context.Context, _ seam.Work, taker seam.Taker) error {
		taker.Told(seam.Told{Errs: []error{nil}})
		<-go1
		taker.Place()
		taker.Take(0, answerOf())
		return nil
	}
	got := &tellingBasket{told: told}
	ended := make(chan error, 1)
	go func() { ended <- r.Fetch(t.Context(), workOf(1), got) }()
	testwait.Closed(t, told)
	close(go1)
	require.NoError(t, testwait.Receive(t, ended))
	assert.Len(t, got.answers, 1)
}

type tellingBasket struct {
	basket
	told chan struct{}
}

func (b *tellingBasket) Told(seam.Told) { close(b.told) }

// Nobody works on for a call that nobody waits for.
func TestACallThatIsGivenUpEndsAtTheOtherEnd(t *testing.T) {
	r := newRig(t)
	begun, ended := make(chan struct{}), make(chan error, 1)
	r.half.fetch = func(ctx context.Context, _ seam.Work, _ seam.Taker) error {
		close(begun)
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	returned := make(chan error, 1)
	go func() { returned <- r.Fetch(ctx, workOf(1), &basket{}) }()
	testwait.Closed(t, begun)
	cancel()
	err := testwait.Receive(t, returned)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, call.ErrUnavailable)
	require.ErrorIs(t, testwait.Receive(t, ended), context.Canceled)
}

func TestADeadlineGoesAlong(t *testing.T) {
	r := newRig(t)
	until := time.Now().Add(time.Hour)
	ctx, cancel := context.WithDeadline(t.Context(), until)
	defer cancel()
	r.half.fetch = func(ctx context.Context, _ seam.Work, taker seam.Taker) error {
		deadline, has := ctx.Deadline()
		assert.True(t, has)
		assert.WithinDuration(t, until, deadline, time.Minute)
		taker.Told(seam.Told{Errs: []error{nil}})
		taker.Place()
		taker.Take(0, answerOf())
		return nil
	}
	require.NoError(t, r.Fetch(ctx, workOf(1), &basket{}))
}

// More calls at once than connections there were, each with its own answer.
func TestManyCallsAtOnce(t *testing.T) {
	r := newRig(t)
	r.half.fetch = func(_ context.Context, work seam.Work, taker seam.Taker) error {
		taker.Told(seam.Told{Errs: []error{nil}})
		taker.Place()
		taker.Take(0, answerOf(delivered("conn_0", work.Volumes[0].Pod.PodName)))
		return nil
	}
	var calls sync.WaitGroup
	for i := range 200 {
		calls.Go(func() {
			for j := range 10 {
				work, got := workOf(1), &basket{}
				work.Volumes[0].Pod.PodName = fmt.Sprint(i, " ", j)
				if assert.NoError(t, r.Fetch(t.Context(), work, got)) {
					assert.Equal(t, work.Volumes[0].Pod.PodName, string(got.answers[0].Entries[0].Value))
				}
			}
		})
	}
	calls.Wait()
	require.Eventually(t, func() bool {
		r.server.mu.Lock()
		defer r.server.mu.Unlock()
		return r.server.all <= mostIdle+leastIdle
	}, testwait.Limit, time.Millisecond, "those that are not needed any more are closed, at both ends")
	r.mu.Lock()
	defer r.mu.Unlock()
	assert.LessOrEqual(t, len(r.open), mostIdle+leastIdle)
	for _, one := range r.idle {
		assert.Nil(t, one.out, "who waits holds no buffer")
	}
}

// failing is a listener that fails at first, as for want of file descriptors.
type failing struct {
	net.Listener
	left atomic.Int32
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

func TestADriverListensOnAfterAnError(t *testing.T) {
	r := newRigFor(t, uint32(os.Geteuid()))
	r.endDriver()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", r.socket)
	require.NoError(t, err)
	flaky := &failing{Listener: listener}
	flaky.left.Store(2)
	run(t, func(ctx context.Context) error { return r.Serve(ctx, flaky) })
	r.startServer(t)
	r.half.fetch = answering(func(int) seam.Answer { return answerOf() })
	require.NoError(t, r.Fetch(t.Context(), workOf(1), &basket{}))
}
