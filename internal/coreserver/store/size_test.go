package store

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testheap"
)

// The size to be good at.
const (
	manyTeams   = 200
	manyEntries = 30
	reloadBar   = 100 * time.Millisecond
	memoryBar   = 64 << 20
)

// newManyTeams writes a folder of entries and a file of rules for each of many teams.
func newManyTeams(t testing.TB) *teams {
	s := &teams{t: t, directory: t.TempDir(), now: time.Unix(1, 0)}
	var admin strings.Builder
	admin.WriteString("teams:\n")
	for team := range manyTeams {
		fmt.Fprintf(&admin, "- {name: team-%d, namespaces: [team-%d, \"team-%d-*\"]}\n", team, team, team)
		s.write(fmt.Sprintf("rules/team-%d.yaml", team), manyRules(0), fmt.Sprintf("entries/team-%d/connections.json", team), manyConnections(team, 0))
	}
	admin.WriteString("rules:\n- {namespaces: [\"*\"], serviceAccounts: [worker], connections: [aws_default]}\n")
	s.write("rules/admin.yaml", admin.String(), "entries/connections.json", `{"aws_default": "aws://shared"}`)
	require.NoError(t, s.start(nil))
	return s
}

func manyRules(from int) string {
	var rules strings.Builder
	rules.WriteString("rules:\n")
	for i := from; i < manyEntries; i++ {
		fmt.Fprintf(&rules, "- {namespaces: [\"*\"], serviceAccounts: [worker, \"dag-%d-*\"], connections: [conn_%d]}\n", i, i)
	}
	return rules.String()
}

func manyConnections(team, edit int) string {
	entries := make([]string, manyEntries)
	for i := range entries {
		entries[i] = fmt.Sprintf(`"conn_%d": {"conn_type": "postgres", "host": "db-%d-%d.example.com", "login": "etl", "password": "%d %s", "extra": {"sslmode": "verify-full"}}`,
			i, team, i, edit, strings.Repeat("x", 200))
	}
	return "{" + strings.Join(entries, ",\n") + "}"
}

func TestTwoHundredTeams(t *testing.T) {
	before := testheap.InUse()
	s := newManyTeams(t)
	took := time.Hour
	for edit := range 10 {
		team := 7 * edit
		s.write(fmt.Sprintf("entries/team-%d/connections.json", team), manyConnections(team, edit+1), fmt.Sprintf("rules/team-%d.yaml", team), manyRules(1))
		took = min(took, worked(t, func() { require.NoError(t, s.reload()) }))
		assert.Equal(t, "denied", s.gets(fmt.Sprintf("team-%d", team), "conn_0"))
		assert.Equal(t, fmt.Sprintf("db-%d-1.example.com", team), s.gets(fmt.Sprintf("team-%d", team), "conn_1"))
	}
	used := testheap.InUse() - before
	t.Logf("%d teams of %d entries: a reload takes %s, the heap %d KiB", manyTeams, manyEntries, took, used>>10)
	assert.LessOrEqual(t, took, slower*reloadBar)
	assert.LessOrEqual(t, used, int64(memoryBar))
	assert.Equal(t, manyTeams*manyEntries+1, s.Current().Len())
}

// worked is how long a thread of this process was busy with work, whatever else the machine does.
func worked(t testing.TB, work func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_THREAD, &before))
	work()
	require.NoError(t, unix.Getrusage(unix.RUSAGE_THREAD, &after))
	return time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
}

// A bound on a file, and one on the files of a team, leave none on what a team has; and one team's
// patterns are gone through at each call of its pods.
func TestRulesOfATeamAreBoundedTogether(t *testing.T) {
	patterns := func(from, count int) string {
		var rules strings.Builder
		rules.WriteString("rules:\n- {namespaces: [\"*\"], serviceAccounts: [worker], connections: [own]}\n- {namespaces: [\"*\"], serviceAccounts: [other], connections: [")
		for i := range count {
			fmt.Fprintf(&rules, "\"*%d*\", ", from+i)
		}
		return rules.String() + "]}\n"
	}
	s := newTeams(t, "rules/bank/bank.yaml", teamRules("aws_default"), "rules/bank/many.yaml", patterns(0, 1500))
	s.write("rules/bank/more.yaml", patterns(1500, 1500))
	err := s.reload()
	assert.ErrorContains(t, err, `/rules/bank/more.yaml: the rules of team "bank" take more than the 1024 KiB and 2048 patterns that a team has`)
	assert.Equal(t, "payments", s.gets("payments", "own"))

	s.write("rules/payments.yaml", teamRules("own"))
	require.NoError(t, s.reload(), "others go on, and it is told once")
	s.write("rules/bank/many.yaml", patterns(0, 100))
	require.NoError(t, s.reload(), "there is room for the other now, though that has not changed")
	for _, status := range s.Status() {
		assert.Empty(t, status.Fault)
	}
}

func TestEntriesThatHadNoRoomComeInOnceThereIsSome(t *testing.T) {
	big := func(id string) string { return fmt.Sprintf(`{"%s": "http://h/%s"}`, id, strings.Repeat("x", 900<<10)) }
	s := newTeams(t)
	for i := range 4 {
		s.write(fmt.Sprintf("entries/payments/p%d.connections.json", i), big(fmt.Sprint("big_", i)))
	}
	require.NoError(t, s.reload())
	s.write("entries/payments/p4.connections.json", big("own_more"))
	require.ErrorContains(t, s.reload(), "take more than the 4096 KiB that a team has")
	s.write("entries/payments/p0.connections.json", `{"big_0": "http://h"}`, "rules/payments.yaml", teamRules("own_more"))
	require.NoError(t, s.reload())
	assert.Equal(t, "h", s.gets("payments", "own_more"))
}

// What is remembered of changes kept the files that these stood in: 256 edits of a team's .env of 1 MiB, or of
// its rules, took 220 MiB.
func TestWhatIsRememberedOfChangesKeepsNoFiles(t *testing.T) {
	long := strings.Repeat("x", 1500)
	for name, edit := range map[string]func(s *teams, i int) error{
		"a value in .env": func(s *teams, i int) error {
			return s.reload("entries/payments/connections.json", "",
				"entries/payments/connections.env", fmt.Sprintf("own=http://p%d\nlong=http://%s\n", i, strings.Repeat(long, 600)))
		},
		"a long id": func(s *teams, i int) error {
			return s.reload("entries/payments/connections.json", fmt.Sprintf(`{"own": "http://p%d", "%s%d": "http://h"}`, i, strings.Repeat(long, 600), i))
		},
		"one of many rules": func(s *teams, i int) error {
			rules := fmt.Sprintf("rules:\n- {namespaces: [\"*\"], serviceAccounts: [w%d], connections: [own]}\n", i)
			for other := range 500 {
				rules += fmt.Sprintf("- {namespaces: [\"*\"], serviceAccounts: [%s%d], connections: [other_%d]}\n", long, other, other)
			}
			return s.reload("rules/payments.yaml", rules)
		},
		"one of many readers": func(s *teams, i int) error {
			rules := fmt.Sprintf("rules:\n- {namespaces: [\"*\"], connections: [own], serviceAccounts: [w%d", i)
			for other := range 500 {
				rules += fmt.Sprintf(", %s%d", long, other)
			}
			return s.reload("rules/payments.yaml", rules+"]}\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTeams(t)
			require.NoError(t, edit(s, 0))
			before := testheap.InUse()
			for i := range 30 {
				require.NoError(t, edit(s, 1+i))
			}
			assert.Less(t, testheap.InUse()-before, int64(maxBytes+4<<20))
			assert.NotEqual(t, "denied", s.gets("nobodys", "aws_default"), "and it is all there")
		})
	}
}
