package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

type watchStream = grpc.ServerStreamingServer[secretsv1.WatchResponse]

// script is a server whose streams say one thing after the other: each stream sends
// its messages and then ends with its error, or stays silent until the client leaves
// where that is nil.
type script struct {
	server
	asked chan string // the revision that each stream began with
	from  chan string // the client's end of the connection that it came over
	turns atomic.Int64
}

type turn struct {
	messages []*secretsv1.WatchResponse
	end      error
}

func newScript(turns ...turn) *script {
	s := &script{asked: make(chan string, 64), from: make(chan string, 64)}
	s.watch = func(request *secretsv1.WatchRequest, stream watchStream) error {
		s.asked <- request.GetRevision()
		client, _ := peer.FromContext(stream.Context())
		s.from <- client.Addr.String()
		this := turns[min(int(s.turns.Add(1)), len(turns))-1]
		for _, message := range this.messages {
			if err := stream.Send(message); err != nil {
				return err
			}
		}
		if this.end == nil {
			<-stream.Context().Done()
		}
		return this.end
	}
	return s
}

var errCut = status.Error(codes.Unavailable, "core is stopping")

func resync(revision string, entries ...*secretsv1.EntryVersion) *secretsv1.WatchResponse {
	return &secretsv1.WatchResponse{Revision: revision, Resync: true, Entries: entries}
}

func change(revision string, entries ...*secretsv1.EntryVersion) *secretsv1.WatchResponse {
	return &secretsv1.WatchResponse{Revision: revision, Entries: entries}
}

func variable(name, version string) *secretsv1.EntryVersion {
	return &secretsv1.EntryVersion{Kind: secretsv1.Kind_KIND_VARIABLE, Name: name, Version: version}
}

// watching starts a Watch; it ends with the test.
func watching(t *testing.T, client *core.Client) (<-chan provider.Change, <-chan error) {
	ctx, cancel := context.WithCancel(t.Context())
	changes, ended := make(chan provider.Change, 64), make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- client.Watch(ctx, func(change provider.Change) { changes <- change })
	}()
	t.Cleanup(func() {
		cancel()
		testwait.Closed(t, done)
	})
	return changes, ended
}

func entries(names ...string) provider.Change {
	var change provider.Change
	for _, name := range names {
		change.Entries = append(change.Entries, entry.Name{Kind: entry.Variable, ID: name})
	}
	return change
}

func TestWatchTellsWhatChangedAcrossStreams(t *testing.T) {
	s := newScript(
		turn{[]*secretsv1.WatchResponse{
			resync("1", variable("a", "1"), variable("b", "1")),
			change("1"), // a heartbeat
			change("2", variable("b", "2")),
			change("3", variable("a", "")),
		}, errCut},
		turn{[]*secretsv1.WatchResponse{change("3"), change("4", variable("c", "4"))}, errCut},
		turn{[]*secretsv1.WatchResponse{
			resync("9", variable("b", "2"), variable("c", "9"), variable("d", "9")), // after a gap
			resync("9", variable("b", "2"), variable("c", "9"), variable("d", "9")), // nothing differs
			resync("10", variable("c", "9"), variable("d", "9")),
		}, nil},
	)
	changes, _ := watching(t, newClient(t, s.start(t)))
	for _, want := range []provider.Change{
		{All: true}, entries("b"), entries("a"), entries("c"), entries("c", "d"), entries("b"),
	} {
		assert.Equal(t, want, testwait.Receive(t, changes))
	}
	assert.Equal(t, "", testwait.Receive(t, s.asked))
	assert.Equal(t, "3", testwait.Receive(t, s.asked))
	assert.Equal(t, "4", testwait.Receive(t, s.asked))
	assert.Empty(t, changes)
}

// A heartbeat that names another state tells of a message that was lost.
func TestWatchNoticesALostMessage(t *testing.T) {
	for _, first := range []*secretsv1.WatchResponse{resync("1", variable("a", "1")), change("1", variable("a", "1")), change("1")} {
		s := newScript(turn{[]*secretsv1.WatchResponse{first, change("2"), change("2"), change("3", variable("a", "3"))}, nil})
		changes, _ := watching(t, newClient(t, s.start(t)))
		assert.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes))
		assert.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes))
		assert.Equal(t, entries("a"), testwait.Receive(t, changes))
	}
}

// Nonsense voids what is known: the next stream starts from nothing.
func TestWatchStartsOverAfterNonsense(t *testing.T) {
	for name, nonsense := range map[string]*secretsv1.WatchResponse{
		"no revision":         change("", variable("a", "2")),
		"no kind":             change("2", &secretsv1.EntryVersion{Name: "a", Version: "2"}),
		"no name":             change("2", variable("", "2")),
		"no version in a sum": resync("2", variable("a", "")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(
				turn{[]*secretsv1.WatchResponse{resync("1", variable("a", "1")), nonsense}, nil},
				turn{[]*secretsv1.WatchResponse{resync("1", variable("a", "1"))}, nil},
			)
			log := new(logged)
			config := s.start(t)
			config.Logger = log.logger()
			changes, _ := watching(t, newClient(t, config))
			assert.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes))
			assert.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes))
			assert.Equal(t, "", testwait.Receive(t, s.asked))
			assert.Equal(t, "", testwait.Receive(t, s.asked))
			assert.Contains(t, log.String(), "protocol violated: a watch message ")
		})
	}
}

// A silent core is left, connection and all.
func TestWatchLeavesACoreThatIsSilent(t *testing.T) {
	t.Parallel()
	s := newScript(
		turn{[]*secretsv1.WatchResponse{resync("1")}, nil},
		turn{nil, nil},
		turn{[]*secretsv1.WatchResponse{change("1", variable("a", "2"))}, nil},
	)
	log := new(logged)
	config := s.start(t)
	config.HeartbeatTimeout = 2 * time.Second // or a busy machine is silent too
	config.Logger = log.logger()
	changes, _ := watching(t, newClient(t, config))
	assert.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes))
	assert.Equal(t, entries("a"), testwait.Receive(t, changes))
	assert.Equal(t, "", testwait.Receive(t, s.asked))
	assert.Equal(t, "1", testwait.Receive(t, s.asked))
	assert.Equal(t, "1", testwait.Receive(t, s.asked))
	assert.NotEqual(t, testwait.Receive(t, s.from), testwait.Receive(t, s.from))
	assert.Contains(t, log.String(), "unavailable: core sent no heartbeat for 2s")
}

// Something in between holds the streams back: nothing will ever come.
func TestWatchGivesUpOnStreamsThatStayDumb(t *testing.T) {
	config := newScript(turn{nil, nil}).start(t)
	config.HeartbeatTimeout = 50 * time.Millisecond
	_, ended := watching(t, newClient(t, config))
	err := testwait.Receive(t, ended)
	require.ErrorIs(t, err, provider.ErrWatchUnsupported)
	require.ErrorContains(t, err, "unavailable: core sent no heartbeat for 50ms")
}

// Core answers, and no stream of it ever says a thing: who waited for one would see
// changes by chance alone.
func TestWatchGivesUpOnStreamsThatSayNothing(t *testing.T) {
	for name, row := range map[string]struct {
		turn   turn
		reason string
	}{
		"too much to send": {turn{nil, status.Error(codes.ResourceExhausted, "trying to send message larger than max")}, "larger than a message may be"},
		"a fault":          {turn{nil, status.Error(codes.Internal, "because")}, "because"},
		"a proxy's word":   {turn{nil, status.Error(codes.Unavailable, "no streams here")}, "no streams here"},
		"nonsense":         {turn{[]*secretsv1.WatchResponse{change("")}, nil}, "has no revision"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := newScript(row.turn).start(t)
			config.WatchBackoff = time.Millisecond
			_, ended := watching(t, newClient(t, config))
			err := testwait.Receive(t, ended)
			require.ErrorIs(t, err, provider.ErrWatchUnsupported)
			require.ErrorContains(t, err, row.reason)
		})
	}
}

// A core that is away is another matter: the watch has to stand as soon as it is back.
func TestWatchWaitsForACoreThatIsAway(t *testing.T) {
	authority := newAuthority(t, "core's authority")
	settings := authority.serverTLS(t, authority.issue(t, "core"), false)
	s := newScript(turn{[]*secretsv1.WatchResponse{resync("1")}, nil})
	address, stop := s.serve(t, "127.0.0.1:0", settings)
	stop()
	log := new(logged)
	changes, _ := watching(t, newClient(t, core.Config{
		Address: address, CAFile: authority.file, WatchBackoff: time.Millisecond, Logger: log.logger(),
	}))
	require.Eventually(t, func() bool { return strings.Count(log.String(), "watch interrupted") > 20 }, testwait.Limit, time.Millisecond)
	s.serve(t, address, settings)
	assert.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes))
}

// An outage is one line, however long it lasts.
func TestWatchWarnsOnceOfAnOutage(t *testing.T) {
	s := newScript(turn{nil, errCut})
	log := new(logged)
	config := s.start(t)
	config.Logger, config.WatchBackoff = log.logger(), time.Millisecond
	watching(t, newClient(t, config))
	for range 5 {
		testwait.Receive(t, s.asked)
	}
	assert.Equal(t, 1, strings.Count(log.String(), `"level":"WARN"`))
}

func TestWatchSaysWherePollingIsNeeded(t *testing.T) {
	for code, reason := range map[codes.Code]error{
		codes.Unimplemented:    provider.ErrWatchUnsupported,
		codes.PermissionDenied: provider.ErrDenied,
		codes.Unauthenticated:  provider.ErrUnauthenticated,
	} {
		s := newScript(turn{nil, status.Error(code, "because")})
		_, ended := watching(t, newClient(t, s.start(t)))
		err := testwait.Receive(t, ended)
		require.ErrorIs(t, err, provider.ErrWatchUnsupported)
		require.ErrorIs(t, err, reason)
	}
	_, ended := watching(t, newClient(t, existing(nil, nil).start(t)))
	require.ErrorIs(t, testwait.Receive(t, ended), provider.ErrWatchUnsupported)
}

// The node's token is asked for anew for each stream, and repeated nowhere.
func TestWatchRunsUnderTheNodesToken(t *testing.T) {
	sent := make(chan []string, 64)
	s := &server{watch: func(_ *secretsv1.WatchRequest, stream watchStream) error {
		got := metadata.ValueFromIncomingContext(stream.Context(), "authorization")
		sent <- got
		return status.Errorf(codes.Unavailable, "not now, %v", got)
	}}
	tokens := []string{"first-" + needle, "second-" + needle}
	var asked atomic.Int64
	log := new(logged)
	config := s.start(t)
	config.Logger = log.logger()
	config.NodeToken = func(context.Context) (secret.Text, error) {
		if n := int(asked.Add(1)); n <= len(tokens) {
			return secret.New(tokens[n-1]), nil
		}
		return secret.Text{}, errors.New("the token file is gone")
	}
	watching(t, newClient(t, config))
	assert.Equal(t, []string{"Bearer first-" + needle}, testwait.Receive(t, sent))
	assert.Equal(t, []string{"Bearer second-" + needle}, testwait.Receive(t, sent))
	require.Eventually(t, func() bool { return asked.Load() > 2 }, testwait.Limit, 10*time.Millisecond)
	assert.NotContains(t, log.String(), needle)
	assert.Contains(t, log.String(), "not now, [Bearer [redacted]]")
}

// Core comes back at the same address: the watch finds it, without being started again.
func TestWatchOutlivesCore(t *testing.T) {
	authority := newAuthority(t, "core's authority")
	settings := authority.serverTLS(t, authority.issue(t, "core"), false)
	s := newScript(
		turn{[]*secretsv1.WatchResponse{resync("1", variable("a", "1"))}, nil},
		turn{[]*secretsv1.WatchResponse{change("2", variable("a", "2"))}, nil},
	)
	address, stop := s.serve(t, "127.0.0.1:0", settings)
	changes, _ := watching(t, newClient(t, core.Config{Address: address, CAFile: authority.file}))
	assert.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes))
	stop()
	s.serve(t, address, settings)
	assert.Equal(t, entries("a"), testwait.Receive(t, changes))
}

func TestCloseEndsTheWatch(t *testing.T) {
	s := newScript(turn{[]*secretsv1.WatchResponse{resync("1")}, nil})
	client := newClient(t, s.start(t))
	changes, ended := watching(t, client)
	testwait.Receive(t, changes)
	require.NoError(t, client.Close())
	require.ErrorContains(t, testwait.Receive(t, ended), "this client is closed")
}

// Each fetch shows the driver's own token too, as it was read lately, and repeats it nowhere.
// What core says of it is of no pod.
func TestFetchIsMadeUnderTheNodesToken(t *testing.T) {
	var sent []string
	refuse := false
	s := &server{fetch: func(ctx context.Context, _ *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
		got := metadata.ValueFromIncomingContext(ctx, "authorization")
		sent = append(sent, got...)
		if refuse {
			return nil, status.Errorf(codes.Unauthenticated, "who is %v", got)
		}
		return goodResponse(), nil
	}}
	config := s.start(t)
	reads := 0
	config.NodeToken = func(context.Context) (secret.Text, error) {
		reads++
		if reads == 3 {
			return secret.Text{}, errors.New("the token file is gone")
		}
		return secret.New(fmt.Sprint("own-", reads, "-", needle)), nil
	}
	client := newClient(t, config)
	for range 3 {
		_, err := client.Fetch(t.Context(), pod(), good)
		require.NoError(t, err)
	}
	own := "Bearer own-1-" + needle
	assert.Equal(t, []string{own, own, own}, sent)
	refuse = true
	_, err := client.Fetch(t.Context(), pod(), good)
	require.ErrorIs(t, err, provider.ErrUnavailable)
	require.NotErrorIs(t, err, provider.ErrUnauthenticated)
	assert.False(t, provider.IsOfCall(err), "it is every pod's of the node")
	assert.NotContains(t, err.Error(), needle)
	_, err = client.Fetch(t.Context(), pod(), good)
	require.ErrorIs(t, err, provider.ErrUnavailable)
	assert.Equal(t, "Bearer own-2-"+needle, sent[4], "a token that was refused is read again")
	_, err = client.Fetch(t.Context(), pod(), good)
	require.ErrorIs(t, err, provider.ErrUnavailable)
	assert.ErrorContains(t, err, "reading the node's token: the token file is gone")
	assert.Len(t, sent, 5)
}

// Core ends a watch after a while to see the node's identity again. That is no interruption;
// one that ends at once is.
func TestAWatchThatCoreEndsInTimeIsMadeAnewWithoutAWord(t *testing.T) {
	var streams atomic.Int64
	s := &server{watch: func(_ *secretsv1.WatchRequest, stream watchStream) error {
		turn := streams.Add(1)
		if err := stream.Send(resync("1")); err != nil || turn == 1 {
			return err
		}
		for range 3 {
			if !pause.Wait(stream.Context(), 40*time.Millisecond) {
				break
			}
			_ = stream.Send(&secretsv1.WatchResponse{Revision: "1"})
		}
		return nil
	}}
	config := s.start(t)
	log := new(logged)
	config.Logger, config.HeartbeatTimeout = log.logger(), 100*time.Millisecond
	watching(t, newClient(t, config))
	require.Eventually(t, func() bool { return streams.Load() > 3 }, testwait.Limit, time.Millisecond)
	assert.Equal(t, 1, strings.Count(log.String(), "watch interrupted"), "the first ended at once: %s", log)
	assert.Contains(t, log.String(), "core has ended the watch")
}
