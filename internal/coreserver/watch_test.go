package coreserver_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/testheap"
)

type watching struct {
	t      testing.TB
	stream grpc.ServerStreamingClient[secretsv1.WatchResponse]
}

func (c *core) watch(revision string) watching {
	stream, err := c.secrets(c.authority.pair("node-1")).Watch(within(c.t), &secretsv1.WatchRequest{Revision: revision})
	require.NoError(c.t, err)
	return watching{c.t, stream}
}

func (w watching) next() *secretsv1.WatchResponse {
	message, err := w.stream.Recv()
	require.NoError(w.t, err)
	return message
}

// names spells a message's entries; "-" marks those that are gone.
func names(message *secretsv1.WatchResponse) []string {
	spelled := []string{}
	for _, e := range message.Entries {
		if e.Version == "" {
			spelled = append(spelled, "-"+e.Name)
			continue
		}
		spelled = append(spelled, e.Name)
	}
	return spelled
}

var everything = []string{"broken", "gcp_default", "secret", "warehouse", "env", "region"}

func TestWatchBeginsWithEverythingAndGoesOnWithChanges(t *testing.T) {
	c := startCore(t, nil)
	w := c.watch("")
	first := w.next()
	assert.True(t, first.Resync)
	assert.Equal(t, everything, names(first))

	c.write("variables.yaml", "env: other\nadded: x\n")
	change := w.next()
	assert.False(t, change.Resync)
	assert.Equal(t, []string{"added", "env", "-region"}, names(change))
	assert.NotEqual(t, first.Revision, change.Revision)
}

func TestWatchResumes(t *testing.T) {
	c := startCore(t, nil)
	before := c.watch("").next().Revision
	same := c.watch(before).next()
	assert.False(t, same.Resync, "nothing was missed")
	assert.Empty(t, same.Entries)
	assert.Equal(t, before, same.Revision)

	c.write("variables.yaml", "env: other\nregion: n33dle-region\n")
	c.server.Reload()
	missed := c.watch(before).next()
	assert.False(t, missed.Resync)
	assert.Equal(t, []string{"env"}, names(missed))

	assert.True(t, c.watch("unheard-of").next().Resync)
}

func TestWatchResumesAtAnotherReplicaAndAfterARestart(t *testing.T) {
	c := startCore(t, nil)
	revision := c.watch("").next().Revision
	require.NoError(t, c.stop())
	c.boot(nil)
	same := c.watch(revision).next()
	assert.False(t, same.Resync)
	assert.Equal(t, revision, same.Revision)

	c.write("variables.yaml", "env: other\nregion: n33dle-region\n")
	require.NoError(t, c.stop())
	c.boot(nil)
	assert.True(t, c.watch(revision).next().Resync, "what changed meanwhile is not known")
}

func TestWatchTellsOfRules(t *testing.T) {
	c := startCore(t, nil)
	w := c.watch("")
	w.next()
	c.write("rules.yaml", "rules:\n- {tenants: [acme], dags: [audit], connections: ['*'], variables: ['*']}\n")
	change := w.next()
	assert.False(t, change.Resync)
	assert.Equal(t, []string{"broken", "gcp_default", "warehouse", "env"}, names(change), "those that billing_* lost")
}

// More names than a message holds: the watch stands all the same, and tells of what
// changes from then on.
func TestWatchTellsOfMoreThanFitsIntoAMessage(t *testing.T) {
	c := startCore(t, nil)
	var many strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&many, "%s_%d: x\n", strings.Repeat("long", 250), i)
	}
	before := c.watch("")
	old := before.next().Revision
	c.write("variables.yaml", many.String())
	c.server.Reload()
	afresh := c.watch("")
	for _, w := range []watching{before, afresh} {
		message := w.next()
		assert.NotEqual(t, old, message.Revision)
		assert.False(t, message.Resync)
		assert.Empty(t, message.Entries)
	}
	c.write("variables.yaml", many.String()+"region: x\n")
	assert.Equal(t, []string{"region"}, names(afresh.next()))
}

func TestWatchHeartbeats(t *testing.T) {
	c := startCore(t, func(config *coreserver.Config) { config.Heartbeat = 5 * time.Millisecond })
	w := c.watch("")
	revision := w.next().Revision
	for range 3 {
		beat := w.next()
		assert.Equal(t, revision, beat.Revision)
		assert.False(t, beat.Resync)
		assert.Empty(t, beat.Entries)
	}
}

func TestWatchIsForNodes(t *testing.T) {
	c := startCore(t, nil)
	poll := startCore(t, func(config *coreserver.Config) { config.ClientCA = "" })
	for name, row := range map[string]struct {
		client  secretsv1.SecretsServiceClient
		code    codes.Code
		message string
	}{
		"no certificate": {c.secrets(), codes.Unauthenticated, "watching takes a client certificate of core's client CA"},
		"another name": {c.secrets(c.authority.pair("pod-1")), codes.PermissionDenied,
			`client certificate of "pod-1" is not among the node names allowed to watch`},
		"no client CA": {poll.secrets(poll.authority.pair("node-1")), codes.Unimplemented,
			"this core has no client CA and no service accounts of nodes, and could not tell a node from a stranger: poll instead"},
	} {
		stream, err := row.client.Watch(within(t), &secretsv1.WatchRequest{})
		require.NoError(t, err, name)
		_, err = stream.Recv()
		assert.Equal(t, row.code, status.Code(err), "%s: %v", name, err)
		assert.Equal(t, row.message, status.Convert(err).Message(), name)
	}
}

func TestAStrangersCertificateGetsNoConnection(t *testing.T) {
	c := startCore(t, nil)
	stream, err := c.secrets(newAuthority(t).pair("node-1")).Watch(within(t), &secretsv1.WatchRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
}

func TestWatchEndsWhenCoreStops(t *testing.T) {
	c := startCore(t, nil)
	w := c.watch("")
	w.next()
	require.NoError(t, c.stop())
	_, err := w.stream.Recv()
	assert.Equal(t, codes.Unavailable, status.Code(err))
}

// A watcher that does not read holds one position, whatever happens meanwhile: when it
// reads again it is told the sum of it.
func TestASlowWatcherIsCoalesced(t *testing.T) {
	const reloads, ids = 40, 200
	c := startCore(t, nil)
	slow := c.watch("")
	fast := c.watch("")
	slow.next()
	fast.next()

	before := testheap.InUse()
	for i := range reloads {
		c.write("variables.yaml", variables(ids, i))
		c.server.Reload()
	}
	grown := testheap.InUse() - before
	assert.Less(t, grown, int64(4<<20))

	last := c.lastRevision()
	slowly, quickly := slow.until(last), fast.until(last)
	assert.LessOrEqual(t, slowly, reloads)
	assert.LessOrEqual(t, quickly, reloads)
	t.Logf("%d reloads of %d entries: %d messages to one watcher, %d to another, %d KiB more on the heap",
		reloads, ids, slowly, quickly, grown>>10)
}

// Connections that take no more hold up nobody but themselves, however many they are.
func TestWatchersThatDoNotReadHoldUpNoOther(t *testing.T) {
	const stuck, ids = 24, 2000 // two messages of which fill what a stream may have on its way
	c := startCore(t, nil)
	for range stuck {
		c.watch("").next()
	}
	reads := c.watch("")
	reads.next()
	for i := range 5 {
		c.write("variables.yaml", variables(ids, i))
		c.server.Reload()
		assert.GreaterOrEqual(t, len(reads.next().Entries), ids)
	}
	require.NoError(t, c.stop(), "nor does core wait for them")
}

func variables(ids, value int) string {
	content := []byte("{}\n")[:0]
	for id := range ids {
		content = fmt.Appendf(content, "key_%d: value_%d\n", id, value)
	}
	return string(content)
}

func (c *core) lastRevision() string { return c.watch("").next().Revision }

// until counts the messages up to the one that leads to revision.
func (w watching) until(revision string) int {
	for count := 1; ; count++ {
		if w.next().Revision == revision {
			return count
		}
	}
}

// One that begins watches and ends them, over and over, took a CPU, and had a record of each.
func TestANodeThatWatchesOverAndOverIsHungUpOn(t *testing.T) {
	c := startCore(t, func(config *coreserver.Config) { config.MaxPeerConnections = 16 })
	client := c.secrets(c.authority.pair("node-1"))
	began, refused, stood := time.Now(), 0, 0
	for refused < 8 {
		ctx, cancel := context.WithCancel(within(t))
		stream, err := client.Watch(ctx, &secretsv1.WatchRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		if strings.Contains(status.Convert(err).Message(), "stand on this connection") {
			cancel() // the former ones are about to end, and this try counts as well
			stood++
			continue
		}
		if code := status.Code(err); err != nil {
			require.Contains(t, []codes.Code{codes.ResourceExhausted, codes.Unavailable}, code, err)
			refused++
		}
		cancel()
	}
	most := 16 + 2*int(time.Since(began).Seconds()+1)
	assert.LessOrEqual(t, len(c.records()), most, "admissions on record")
	assert.GreaterOrEqual(t, len(c.records())+stood, 16)
}

// A node that is one no more is not told of changes for ever.
func TestAWatchIsAdmittedAgainWithinTheHour(t *testing.T) {
	c := startCore(t, func(config *coreserver.Config) { config.WatchAge = 20 * time.Millisecond })
	stream, err := c.secrets(c.authority.pair("node-1")).Watch(within(t), &secretsv1.WatchRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	_, err = stream.Recv()
	require.ErrorIs(t, err, io.EOF)
}
