//go:build airflow

package metastore

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/test/stack"
)

// teamRules let every pod read what its team has and what is for all. A namespace would do as a tenant does.
const teamRules = `teams:
- {name: payments, tenants: [payments], sources: []}
- {name: bank, tenants: [bank], sources: []}
rules:
- {tenants: ["*"], dags: ["*"], connections: ["*"], variables: ["*"]}
- {team: payments, tenants: [payments], dags: ["*"], connections: ["*"], variables: ["*"]}
- {team: bank, tenants: [bank], dags: ["*"], connections: ["*"], variables: ["*"]}
`

// judgeTeams has Airflow with [core] multi_team make entries of teams, and holds what pods of each team are given, and of
// none, against what Airflow gives their tasks.
func (c *court) judgeTeams(bin string) {
	t := c.t
	c.more = []string{"AIRFLOW__CORE__MULTI_TEAM=True"}
	c.run("airflow", "teams", "create", "payments")
	c.run("airflow", "teams", "create", "bank")
	script, err := filepath.Abs("python/team.py")
	require.NoError(t, err)
	_, text, answered := strings.Cut(c.run("python", script), "ANSWERS")
	require.True(t, answered)
	airflows := map[string]map[string]map[string]any{}
	require.NoError(t, json.Unmarshal([]byte(text), &airflows))
	c.reader() // writes the files
	s, err := stack.Start(t.Context(), stack.Options{
		Bin: bin, Connections: "{}", Variables: "{}", Rules: teamRules,
		CoreArgs: []string{"--airflow-db=" + filepath.Join(c.home, "url"), "--airflow-fernet-keys=" + filepath.Join(c.home, "keys")},
	})
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()
	asked := "of_payments?, of_bank?, of_all?"
	given := 0
	for team, theirs := range airflows {
		tenant := team
		if team == "" {
			tenant = "nobody"
		}
		tokens, err := s.Tokens(1, auth.Caller{Tenant: tenant, DAG: "metastore"}, time.Hour)
		require.NoError(t, err)
		pod := stack.Pod{Name: tenant, UID: tenant, Namespace: tenant, ServiceAccount: "etl", Token: tokens[0], Attributes: map[string]string{"connections": asked, "variables": asked}}
		require.NoError(t, s.Kubelet.Publish(t.Context(), pod))
		for kind, names := range theirs {
			for name, want := range names {
				content, err := os.ReadFile(filepath.Join(s.Kubelet.Target(pod), kind, name))
				if found, isText := want.(string); isText {
					given++
					assert.Contains(t, string(content), found, "%s %s for team %q", kind, name, team)
				} else {
					assert.ErrorIs(t, err, os.ErrNotExist, "%s %s for team %q: Airflow has %v", kind, name, team, want)
				}
			}
		}
	}
	assert.Equal(t, 2*(2+2+1), given, "each team has its own and what is for all")
}

// firstWithNames is the first whose entries have their team's name; those of 3.1 have an id of it, and no command
// there makes a team.
var firstWithNames = version{"3.2", "3.2.2", "2026-07-01", ">=3.11,<3.14"}

func TestRealAirflowWithTeams(t *testing.T) {
	bin, server := programs(t), startServer(t)
	chosen := versions[:1]
	if *all {
		chosen = append(slices.Clip(chosen), firstWithNames)
	}
	for _, version := range chosen {
		t.Run(version.series, func(t *testing.T) { newCourt(t, server, version).judgeTeams(bin) })
	}
}
