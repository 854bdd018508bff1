package store

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/testheap"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Whoever owns a folder of entries writes what is small and takes much: 1 MiB of "0," took 128 MiB to
// read as YAML, 1 MiB of entries without a name took 118 MiB from then on, and what is nested deeply is
// stored with an indent that makes it two hundred times as long. Core was killed for that, and at
// each start again.
func TestATeamsFileTakesWhatItIsLong(t *testing.T) {
	const most = maxTeamFile - 64
	deep := strings.Repeat("[", 150) + strings.Repeat("0,", 30_000) + "0" + strings.Repeat("]", 150)
	for name, row := range map[string]struct {
		file, content, fault string
	}{
		"a list in YAML":         {"entries/payments/variables.yaml", "v: [" + strings.Repeat("0,", most/2) + "0]", "has more than 65536 values"},
		"a list in JSON":         {"entries/payments/variables.json", `{"v": [` + strings.Repeat("0,", most/2) + "0]}", "has more than 65536 values"},
		"lines":                  {"entries/payments/variables.yaml", "v:\n" + strings.Repeat("- 0\n", most/4), "has more than 65536 values"},
		"a line of dashes":       {"entries/payments/variables.yaml", "v:\n" + strings.Repeat("- - - 0\n", most/8), "has more than 65536 values"},
		"rules":                  {"rules/payments.yaml", "rules: [" + strings.Repeat("a,", most/2) + "a]", "has more than 65536 values"},
		"entries without a name": {"entries/payments/variables.json", `{"v": "x"` + strings.Repeat(`,"":1`, 30_000) + "}", ""},
		"an id again and again":  {"entries/payments/variables.json", `{"v": "x"` + strings.Repeat(`,"a":1`, 30_000) + "}", ""},
		"what is nested deeply":  {"entries/payments/variables.json", `{"v": "x", "deep": ` + deep + "}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTeams(t)
			before := testheap.InUse()
			err := s.reload(row.file, row.content, "entries/bank.connections.yaml", "aws_default: aws://new\n")
			assert.Less(t, testheap.InUse()-before, int64(2*len(row.content)+1<<20))
			assert.LessOrEqual(t, len(s.Current().Nameless), mostNameless)
			if row.fault == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, row.fault)
			}
			found, _ := s.Current().Lookup("bank", entry.Name{Kind: entry.Connection, ID: "aws_default"})
			value, err := s.Open(found)
			require.NoError(t, err)
			assert.Equal(t, "new", *value.Connection.Host, "another team's edit beside it")
		})
	}
}

// Each of these is within what a file may have, and all together would be hundreds of MiB.
func TestWhatIsStoredLongerThanItIsWrittenCounts(t *testing.T) {
	deep := strings.Repeat("[", 150) + strings.Repeat("0,", 3000) + "0" + strings.Repeat("]", 150)
	var entries []string
	for _, id := range strings.Split("abcdefgh", "") {
		entries = append(entries, `"`+id+`": `+deep)
	}
	s := newTeams(t)
	err := s.reload("entries/payments/variables.json", "{"+strings.Join(entries, ",")+"}")
	require.ErrorContains(t, err, `the entries of team "payments" take more than the 4096 KiB that a team has`)
}

// Each reload, whoever's file has changed, finds for each entry the rules that match it. With as many of
// both as a team could have, and names that each match another half of the rules, that took minutes and
// gigabytes, and core was killed for it at each start.
func TestATeamsRulesTimesItsEntriesAreBounded(t *testing.T) {
	s := newTeams(t, "entries/payments/variables.json", variables(2000))
	before := testheap.InUse()
	err := s.reload("rules/payments.yaml", pairRules("rules", "namespaces: [payments], serviceAccounts: [worker], ", 600))
	require.ErrorContains(t, err, `the rules of team "payments" have 1800 patterns, and it has 2002 entries: one times the other may be 524288`)
	assert.Equal(t, "payments", s.gets("payments", "own"), "by the rules of before")

	require.NoError(t, s.reload("rules/payments.yaml", pairRules("rules", "namespaces: [payments], serviceAccounts: [worker], ", 80)))
	assert.Less(t, testheap.InUse()-before, int64(12<<20))
	took := time.Hour
	for edit := range 3 {
		took = min(took, worked(t, func() {
			require.NoError(t, s.reload("entries/bank.connections.yaml", fmt.Sprintf("aws_default: aws://bank-%d\n", edit)))
		}))
	}
	t.Logf("a reload beside a team that has all that it may have: %s", took)
	assert.Less(t, took, slower*reloadBar)

	require.Error(t, s.reload("entries/payments/more.variables.json", strings.ReplaceAll(variables(2000), `"v`, `"w`)), "the other way round")
	require.NoError(t, s.reload("rules/payments.yaml", teamRules("own")), "and there is room for both")
	assert.Greater(t, s.Current().Len(), 4000)
	require.Error(t, s.reload("rules/payments.yaml", pairRules("rules", "namespaces: [payments], serviceAccounts: [worker], ", 80)))
	require.NoError(t, s.start(nil), "also at a start")
	_, found := s.Current().Lookup("payments", entry.Name{Kind: entry.Connection, ID: "own"})
	assert.True(t, found)
}

// What a team denies its own pods is looked for among the entries that are for all, of which the admin may
// have many.
func TestWhatATeamDeniesIsBounded(t *testing.T) {
	s := newTeams(t, "entries/variables.json", variables(6000))
	err := s.reload("rules/payments.yaml", pairRules("rules: []\ndeny", "", 300))
	require.ErrorContains(t, err, `the rules of team "payments" have more than the 256 patterns under deny that a team has`)
	before := testheap.InUse()
	require.NoError(t, s.reload("rules/payments.yaml", pairRules("rules: []\ndeny", "", 250)))
	assert.Less(t, testheap.InUse()-before, int64(24<<20))
}

// A name that is no text had every scrape of core's metrics fail.
func TestANameThatCannotBePrintedIsNotRead(t *testing.T) {
	s := newTeams(t)
	err := s.reload("entries/payments/\xff.connections.json", `{"more": "http://h"}`, "entries/payments/\x1b[2K.connections.json", `{"most": "http://h"}`)
	require.ErrorContains(t, err, `connections.json": is not read, since its name holds what cannot be printed`)
	var strays []string
	for _, status := range s.Status() {
		assert.True(t, isPrintable(status.File), "%q", status.File)
		if status.Fault != "" {
			assert.Equal(t, "payments", status.Team)
			strays = append(strays, filepath.Base(status.File))
		}
	}
	assert.Equal(t, []string{`"\x1b[2K.connections.json"`, `"\xff.connections.json"`}, strays)
	assert.Equal(t, "payments", s.gets("payments", "own"))
}

// variables are a file of count, whose names have little in common.
func variables(count int) string {
	random := rand.New(rand.NewPCG(1, 2))
	entries := make([]string, count)
	for i := range entries {
		name := make([]byte, 60)
		for j := range name {
			name[j] = "abcdefgh"[random.IntN(8)]
		}
		entries[i] = fmt.Sprintf(`"v%d%s": "x"`, i, name)
	}
	return "{" + strings.Join(entries, ",") + "}"
}

// pairRules are so many rules that each match some of the variables, and another some each.
func pairRules(under, subject string, count int) string {
	random := rand.New(rand.NewPCG(3, 4))
	rules := under + ":\n"
	for range count {
		rules += fmt.Sprintf("- {%svariables: [\"*%c%c*\"]}\n", subject, "abcdefgh"[random.IntN(8)], "abcdefgh"[random.IntN(8)])
	}
	return rules
}

// What hides the entry for all from a pod of a team is a change for that pod, though it may not read it.
func TestAnEntryThatHidesAnotherIsToldOf(t *testing.T) {
	s := newTeams(t, "entries/payments/connections.json", `{"own": "http://payments"}`)
	pod := []rule.Subject{{Namespace: "payments", ServiceAccount: "other"}} // whom the team's rules let read nothing
	others := []rule.Subject{{Namespace: "bank", ServiceAccount: "other"}}
	shared := entry.Name{Kind: entry.Connection, ID: "aws_default"}
	shown := func(of []rule.Subject) string { return s.Current().Readership(of).ShownAs(shared) }
	position := func() Position { update := s.Since(0); return update.Position }

	for _, step := range []struct{ gets, connections string }{
		{"denied", `{"own": "http://payments", "aws_default": "aws://payments"}`},
		{"shared", `{"own": "http://payments"}`},
	} {
		from, before, elsewhere := position(), shown(pod), shown(others)
		require.NoError(t, s.reload("entries/payments/more.connections.json", `{"more": "http://h"}`, "entries/payments/connections.json", step.connections))
		update := s.Since(from)
		assert.Equal(t, []entry.Name{shared}, update.NamesFor(pod), step.gets)
		assert.NotEqual(t, before, shown(pod), step.gets)
		assert.Empty(t, update.NamesFor(others))
		assert.Equal(t, elsewhere, shown(others))
	}
}

// A team that denies itself what is for all, over and over, had every node of the cluster ask again for
// all of it.
func TestWhatATeamDeniesItselfConcernsNoOther(t *testing.T) {
	s := newTeams(t, "rules/payments.yaml", teamRules("aws_default, own"))
	update := s.Since(0)
	from := update.Position
	require.NoError(t, s.reload("rules/payments.yaml", teamRules("aws_default, own")+"deny: [{connections: [shared]}]\n"))
	update = s.Since(from)
	assert.Equal(t, []entry.Name{{Kind: entry.Connection, ID: "shared"}}, update.NamesFor([]rule.Subject{{Namespace: "payments", ServiceAccount: "worker"}}))
	assert.Empty(t, update.NamesFor([]rule.Subject{{Namespace: "bank", ServiceAccount: "worker"}, {Namespace: "elsewhere", ServiceAccount: "worker"}}))
}
