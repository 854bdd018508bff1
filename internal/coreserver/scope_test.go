package coreserver_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// tickets are what a node is given when it fetches for one tenant's pod.
func (c *core) tickets(node, tenant string, ids ...string) []*secretsv1.Ticket {
	token, err := c.tokens.Mint(auth.Caller{Tenant: tenant, DAG: "billing_1", Run: "run_1", Task: "load", Try: 1}, time.Minute)
	require.NoError(c.t, err)
	response, err := c.secrets(c.authority.pair(node)).Fetch(within(c.t), &secretsv1.FetchRequest{
		Callers: callers(token.Reveal()), Connections: &secretsv1.Selection{Names: ids},
	})
	require.NoError(c.t, err)
	require.Len(c.t, response.Tickets, 1)
	return response.Tickets
}

func (c *core) scoped(node string, request *secretsv1.WatchRequest) watching {
	request.Scoped = true
	stream, err := c.secrets(c.authority.pair(node)).Watch(within(c.t), request)
	require.NoError(c.t, err)
	return watching{c.t, stream}
}

func spelled(entries []*secretsv1.EntryVersion) []string {
	return names(&secretsv1.WatchResponse{Entries: entries})
}

// startTwoTeams boots a core of two teams that both own "own", and of what is for all.
func startTwoTeams(t *testing.T, change func(*coreserver.Config)) *core {
	c := startTeams(t)
	require.NoError(t, c.stop())
	c.write("entries/connections.yaml", "shared: http://shared\nhidden: http://hidden\n")
	c.write("rules/admin.yaml", `
teams: [{name: t0, tenants: [t0]}, {name: t1, tenants: [t1]}]
rules: [{tenants: [t0, t1], dags: ['*'], connections: [shared]}]
`)
	for team := 2; team < teams; team++ {
		c.remove(fmt.Sprintf("rules/t%d.yaml", team))
		c.remove(fmt.Sprintf("entries/t%d.connections.yaml", team))
	}
	c.boot(func(config *coreserver.Config) {
		config.Connections, config.Variables, config.Rules = "", "", c.directory+"/rules"
		config.Entries = c.directory + "/entries"
		if change != nil {
			change(config)
		}
	})
	return c
}

func TestAWatchTellsANodeOfItsOwnPodsAlone(t *testing.T) {
	c := startTwoTeams(t, nil)
	tickets := c.tickets("node-1", "t0", "own")
	w := c.scoped("node-1", &secretsv1.WatchRequest{Tickets: tickets})
	first := w.next()
	assert.True(t, first.Resync)
	assert.Len(t, first.Entries, teamsEntries+2, "the team's own, and what it may read of all's")
	assert.Contains(t, names(first), "shared")
	assert.NotContains(t, names(first), "hidden")

	c.write("entries/t1.connections.yaml", "own: http://other\nnew: http://other\n")
	c.server.Reload()
	c.write("entries/connections.yaml", "shared: http://shared\nhidden: http://other\n")
	c.server.Reload()
	c.write("entries/t0.connections.yaml", "own: http://other\n")
	second := w.next()
	require.NotNil(t, second.Since)
	assert.Equal(t, first.Revision, second.GetSince(), "nothing was told in between")
	assert.Contains(t, names(second), "own")
	assert.NotContains(t, names(second), "new")
	assert.NotContains(t, names(second), "hidden")

	c.write("rules/t0.yaml", ofTeam("'conn_*'"))
	assert.Equal(t, []string{"-own"}, names(w.next()), "a revocation")
	c.write("rules/t0.yaml", ofTeam("'*'"))
	assert.Equal(t, []string{"own"}, names(w.next()), "and back")
}

func TestAScopedWatchWithoutTicketsTellsNoName(t *testing.T) {
	c := startTwoTeams(t, func(config *coreserver.Config) { config.Heartbeat = 5 * time.Millisecond })
	w := c.scoped("node-1", &secretsv1.WatchRequest{})
	first := w.next()
	assert.True(t, first.Resync)
	assert.Empty(t, first.Entries)
	c.write("entries/t1.connections.yaml", "own: http://other\n")
	before := first
	for before.Revision == first.Revision {
		next := w.next()
		assert.Empty(t, next.Entries)
		assert.Equal(t, before.Revision, next.GetSince(), "each leads from the one before")
		before = next
	}
}

// A ticket is told of from the state on that its Fetch was made from, whatever the node has heard
// meanwhile of what it had nothing to do with.
func TestAnAddedTicketIsToldOfSinceItsFetch(t *testing.T) {
	c := startTwoTeams(t, nil)
	tickets := c.tickets("node-1", "t0", "own")
	c.write("entries/t0.connections.yaml", "own: http://other\nconn_1: postgres://u:n33dle@h/1\n")
	c.server.Reload()
	revision := c.lastRevision()
	message := c.scoped("node-1", &secretsv1.WatchRequest{Revision: revision, Added: tickets}).next()
	assert.False(t, message.Resync)
	assert.Equal(t, revision, message.GetSince())
	assert.Contains(t, names(message), "own")
	assert.Contains(t, names(message), "-conn_0")
	assert.NotContains(t, names(message), "conn_1", "it is the same")
	assert.Equal(t, []string{"conn_1", "own", "shared"}, spelled(message.Shown))

	again := c.scoped("node-1", &secretsv1.WatchRequest{Revision: revision, Tickets: tickets}).next()
	assert.Empty(t, again.Entries)
	assert.Empty(t, again.Shown)

	tickets[0].Revision = "unheard-of"
	message = c.scoped("node-1", &secretsv1.WatchRequest{Revision: revision, Added: tickets}).next()
	assert.Equal(t, []string{"conn_1", "own", "shared"}, names(message), "nobody knows what changed for it")
}

// A node that starts a hundred service accounts' pods at once shows as many new tickets, which may be for
// the same entries; a hostile one shows one a thousand times. Each name was listed for each: four nodes of
// 110 with 6,000 names killed core.
func TestNewTicketsShowEachNameOnce(t *testing.T) {
	c := startTwoTeams(t, nil)
	var tickets []*secretsv1.Ticket
	for i := range 64 {
		token, err := c.tokens.Mint(auth.Caller{Tenant: "t0", DAG: fmt.Sprint("dag_", i)}, time.Minute)
		require.NoError(t, err)
		response, err := c.secrets(c.authority.pair("node-1")).Fetch(within(t), &secretsv1.FetchRequest{
			Callers: callers(token.Reveal()), Connections: &secretsv1.Selection{Names: []string{"own"}},
		})
		require.NoError(t, err)
		for range 16 {
			tickets = append(tickets, response.Tickets...)
		}
	}
	revision := c.lastRevision()
	message := c.scoped("node-1", &secretsv1.WatchRequest{Revision: revision, Added: tickets}).next()
	assert.Empty(t, message.Entries)
	assert.Len(t, message.Shown, teamsEntries+2)

	tickets[0].Revision = "unheard-of"
	message = c.scoped("node-1", &secretsv1.WatchRequest{Revision: revision, Added: tickets}).next()
	assert.Len(t, message.Entries, teamsEntries+2)
	assert.Len(t, message.Shown, teamsEntries+2)
}

// What one pod may read no more is told though another of the node still may.
func TestAResyncShowsWhoOfTheNodeMayRead(t *testing.T) {
	c := startTwoTeams(t, nil)
	both := append(c.tickets("node-1", "t0", "shared"), c.tickets("node-1", "t1", "shared")...)
	version := func() string {
		entries := c.scoped("node-1", &secretsv1.WatchRequest{Tickets: both}).next().Entries
		return entries[slices.IndexFunc(entries, func(e *secretsv1.EntryVersion) bool { return e.Name == "shared" })].Version
	}
	before := version()
	c.write("rules/t1.yaml", ofTeam("'*'")+"deny: [{connections: [shared]}]\n")
	c.server.Reload()
	assert.NotEqual(t, before, version())
}

func TestTicketsThatShowNothing(t *testing.T) {
	now := time.Now()
	c := startTwoTeams(t, func(config *coreserver.Config) { config.Now = func() time.Time { return now } })
	good := c.tickets("node-1", "t0", "own")[0]
	altered := func(change func(*secretsv1.Ticket)) *secretsv1.Ticket {
		ticket := &secretsv1.Ticket{About: slices.Clone(good.About), Proof: slices.Clone(good.Proof)}
		change(ticket)
		return ticket
	}
	assert.True(t, c.takes("node-1", good))
	for name, row := range map[string]struct {
		node   string
		ticket *secretsv1.Ticket
	}{
		"another node's":    {"node-2", good},
		"of another tenant": {"node-1", altered(func(t *secretsv1.Ticket) { t.About = []byte(strings.Replace(string(t.About), "t0", "t1", 1)) })},
		"made younger":      {"node-1", altered(func(t *secretsv1.Ticket) { t.Proof[7]++ })},
		"without a proof":   {"node-1", altered(func(t *secretsv1.Ticket) { t.Proof = nil })},
	} {
		assert.False(t, c.takes(row.node, row.ticket), name)
	}
}

// takes tells whether core takes the ticket. If not, it says that anything may have changed.
func (c *core) takes(node string, ticket *secretsv1.Ticket) bool {
	revision := c.lastRevision()
	message := c.scoped(node, &secretsv1.WatchRequest{Revision: revision, Tickets: []*secretsv1.Ticket{ticket}}).next()
	assert.False(c.t, message.Resync)
	assert.Empty(c.t, message.Entries)
	require.NotNil(c.t, message.Since)
	return revision == message.GetSince()
}

// A ticket lives for a day by core's clock, and no clock that is set back makes it worthless.
func TestATicketLivesForADay(t *testing.T) {
	var step atomic.Int64
	c := startTwoTeams(t, func(config *coreserver.Config) {
		config.Now = func() time.Time { return time.Now().Add(time.Duration(step.Load())) }
	})
	ticket := c.tickets("node-1", "t0", "own")[0]
	for by, taken := range map[time.Duration]bool{-48 * time.Hour: true, 23 * time.Hour: true, 25 * time.Hour: false} {
		step.Store(int64(by))
		assert.Equal(t, taken, c.takes("node-1", ticket), by)
	}
}

// Two replicas whose keys differ, as while a Secret is rolled out: nothing is taken for known that is not.
func TestATicketOfAnotherKeyShowsNothing(t *testing.T) {
	one := startTwoTeams(t, nil)
	other := startTwoTeams(t, func(config *coreserver.Config) {
		config.VersionSecret = secret.New("n33dle of another replica, 9Z8y7X6w")
	})
	ticket := one.tickets("node-1", "t0", "own")[0]
	assert.True(t, one.takes("node-1", ticket))
	assert.False(t, other.takes("node-1", ticket))
	revision := one.lastRevision()
	assert.NotEqual(t, revision, other.lastRevision(), "of the same files")
	message := other.scoped("node-1", &secretsv1.WatchRequest{Revision: revision, Tickets: []*secretsv1.Ticket{ticket}}).next()
	assert.Empty(t, message.Entries)
	assert.Empty(t, message.GetSince(), "anything may have changed")
	assert.Equal(t, other.lastRevision(), message.Revision)
}

func TestMoreTicketsThanAWatchTakes(t *testing.T) {
	c := startCore(t, nil)
	stream, err := c.secrets(c.authority.pair("node-1")).Watch(within(t), &secretsv1.WatchRequest{Scoped: true, Added: make([]*secretsv1.Ticket, 1025)})
	require.NoError(t, err)
	_, err = stream.Recv()
	assert.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
}

// A core that is told to tells no driver all names: an older one polls.
func TestACoreThatTellsNobodyAllNames(t *testing.T) {
	c := startCore(t, func(config *coreserver.Config) { config.ScopedWatch = true })
	stream, err := c.secrets(c.authority.pair("node-1")).Watch(within(t), &secretsv1.WatchRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	assert.Equal(t, codes.Unimplemented, status.Code(err), "%v", err)
	assert.True(t, c.scoped("node-1", &secretsv1.WatchRequest{}).next().Resync)
}
