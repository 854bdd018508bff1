package coreserver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
)

const (
	teams        = 200
	teamsEntries = 30
)

func ofTeam(connections string) string {
	return "rules: [{tenants: ['*'], dags: ['*'], connections: [" + connections + "]}]\n"
}

// startTeams boots a core of many teams, each with a tenant of its name.
func startTeams(t *testing.T) *core {
	c := &core{t: t, directory: t.TempDir(), authority: newAuthority(t), audit: newLines(), log: newLines()}
	c.authority.install(c.directory, 1)
	for _, folder := range []string{"rules", "entries"} {
		require.NoError(t, os.Mkdir(filepath.Join(c.directory, folder), 0o700))
	}
	var admin, entries strings.Builder
	admin.WriteString("rules: []\nteams:\n")
	for i := range teamsEntries {
		fmt.Fprintf(&entries, "conn_%d: postgres://u:n33dle@h/%d\n", i, i)
	}
	for team := range teams {
		fmt.Fprintf(&admin, "- {name: t%d, tenants: [t%d]}\n", team, team)
		c.write(fmt.Sprintf("rules/t%d.yaml", team), ofTeam("'*'"))
		c.write(fmt.Sprintf("entries/t%d.connections.yaml", team), entries.String()+fmt.Sprintf("own: http://t%d\n", team))
	}
	c.write("rules/admin.yaml", admin.String())
	c.write("ca.crt", string(c.authority.PEM()))
	c.boot(func(config *coreserver.Config) {
		config.Connections, config.Variables, config.Rules = "", "", c.directory+"/rules"
		config.Entries = c.directory + "/entries"
	})
	return c
}

// gets is the host that a team has for "own", or why it has none.
func (c *core) gets(team int) string {
	token, err := c.tokens.Mint(auth.Caller{Tenant: fmt.Sprintf("t%d", team), DAG: "d"}, time.Minute)
	require.NoError(c.t, err)
	response, err := c.secrets().Fetch(within(c.t), &secretsv1.FetchRequest{
		Callers: []*secretsv1.Caller{{Token: token.Reveal()}}, Connections: &secretsv1.Selection{Names: []string{"own"}},
	})
	require.NoError(c.t, err)
	if refusals := response.Results[0].Refusals; len(refusals) > 0 {
		return refusals[0].Reason.String()
	}
	return response.Connections[0].GetHost()
}

// One team's broken files stop none of the others', whose revocations are in force and told within
// a second; or within twice as long as beside no broken file, where this machine is busy.
func TestABrokenTeamStopsNoOther(t *testing.T) {
	c := startTeams(t)
	w := c.watch("")
	w.next()
	// revoke is how long the fastest of three takes to be told.
	revoke := func(from int) time.Duration {
		fastest := time.Hour
		for _, team := range []int{from, from + 90, from + 180} {
			began := time.Now()
			c.write(fmt.Sprintf("rules/t%d.yaml", team), ofTeam("'conn_*'"))
			assert.Equal(t, []string{"own"}, names(w.next()))
			fastest = min(fastest, time.Since(began))
			assert.Equal(t, "REASON_DENIED", c.gets(team))
		}
		return fastest
	}
	alone := revoke(10)
	c.write("rules/t0.yaml", "rules: [n33dle")
	c.write("entries/t0.connections.yaml", "{}")
	assert.Less(t, revoke(11), max(time.Second, 2*alone))
	assert.Equal(t, "t0", c.gets(0), "what it had stays in force")
	assert.Equal(t, "t2", c.gets(2))
	c.log.await(t, "t0.connections.yaml: has no entries, and had 31")
	c.log.await(t, "t0.yaml:1: is not YAML")
}

// A team that changes its files without pause has core look at them twenty times a second, and others
// are answered meanwhile.
func TestATeamThatChangesItsFilesWithoutPauseStopsNoOther(t *testing.T) {
	c := startTeams(t)
	reloads := func() int { return strings.Count(c.log.String(), `"msg":"files have changed"`) }
	before, began := reloads(), time.Now()
	edits := 0
	for ; reloads() < before+10; edits++ {
		c.write("entries/t0.connections.yaml", fmt.Sprintf("own: http://edit-%d\n", edits))
		if edits%100 == 0 {
			assert.Equal(t, "t7", c.gets(7))
		}
	}
	assert.LessOrEqual(t, reloads()-before, int(time.Since(began)/(50*time.Millisecond))+2, "of %d edits", edits)
}

func (c *core) remove(name string) {
	require.NoError(c.t, os.Remove(filepath.Join(c.directory, name)))
}

// A team that wrote 2,000 broken entries a second, or one long one, had core log as many lines a second, beside the audit
// log in the same place.
func TestWhatIsWrongWithATeamsFilesIsFewLines(t *testing.T) {
	c := startTeams(t)
	size := func() int { return len(c.log.String()) }
	before := size()
	for turn := range 5 {
		var broken strings.Builder
		for i := range 2000 {
			fmt.Fprintf(&broken, "e_%d_%d: 1\n", turn, i)
		}
		c.write("entries/t1.connections.yaml", broken.String()+"own: http://t1\n")
		c.server.Reload()
	}
	assert.Contains(t, c.log.String(), "serving an entry as invalid")
	assert.Less(t, size()-before, 64<<10)
	c.write("entries/t2.connections.yaml", "e: 1\nown: http://t2\n")
	c.server.Reload()
	assert.Contains(t, c.log.String(), "t2.connections.yaml:1", "another team's is told, too")

	before = size()
	c.write("rules/t1.yaml", fmt.Sprintf("rules: [{tenants: [%s], dags: ['*'], connections: ['*']}]\n", strings.Repeat("x", 900<<10)))
	c.server.Reload()
	assert.Contains(t, c.log.String(), "keeping what was last read in good order")
	assert.Less(t, size()-before, 64<<10)
}
