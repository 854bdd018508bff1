package rule

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const admin = `teams:
- name: payments
  namespaces: [payments, payments-*]
- name: bank
  namespaces: [bank]
  tenants: [bank-*]
  sources: [bank, ledger]
rules:
- namespaces: ["*"]
  serviceAccounts: ["*"]
  connections: [aws_default]
- name: pay the auditors
  team: payments
  namespaces: ["*"]
  serviceAccounts: [auditor]
  connections: ["*"]
deny:
- connections: [leaked]
`

const payments = `rules:
- namespaces: ["*"]
  serviceAccounts: [worker]
  connections: [warehouse, leaked, gone]
deny:
- namespaces: [payments-dev]
  serviceAccounts: ["*"]
  connections: [warehouse, aws_default]
`

// newSet reads the admin's file and that of payments.
func newSet(t testing.TB, admin, payments string) Set {
	parsed, err := Parse("admin.yaml", []byte(admin))
	require.NoError(t, err)
	own, err := ParseTeam("payments.yaml", []byte(payments))
	require.NoError(t, err)
	own, err = own.For(parsed.Teams[0])
	require.NoError(t, err)
	return NewSet(parsed, map[string]TeamFile{"payments": {File: own}})
}

func TestATeamsRulesAreForItsOwnPodsAndEntries(t *testing.T) {
	set := newSet(t, admin, payments)
	worker := set.For(Subject{Namespace: "payments", ServiceAccount: "worker"})
	assert.Equal(t, "payments", worker.Team)
	assert.Equal(t, "payments.yaml:2", worker.Own(connection("warehouse")).String())
	assert.Nil(t, worker.Shared(connection("warehouse")), "what is for all the admin alone lets others read")
	assert.Equal(t, "admin.yaml:9", worker.Shared(connection("aws_default")).String())
	assert.Nil(t, worker.Own(connection("aws_default")))

	stranger := set.For(Subject{Namespace: "bank", ServiceAccount: "worker"})
	assert.Equal(t, "bank", stranger.Team)
	assert.Nil(t, stranger.Own(connection("warehouse")), `"*" of a team's file is the team's namespaces`)
	assert.NotNil(t, stranger.Shared(connection("aws_default")))
	assert.Empty(t, set.For(Subject{Namespace: "other", ServiceAccount: "worker"}).Team)
	assert.Equal(t, "bank", set.For(Subject{Tenant: "bank-eu", DAG: "d"}).Team)
	assert.Empty(t, set.For(Subject{Tenant: "payments", DAG: "d"}).Team, "a tenant is no namespace")
	assert.Empty(t, Set{}.For(Subject{Namespace: "payments", ServiceAccount: "worker"}).Team)
}

func TestTheAdminMayWriteRulesOfATeam(t *testing.T) {
	set := newSet(t, admin, payments)
	auditor := set.For(Subject{Namespace: "payments-eu", ServiceAccount: "auditor"})
	assert.Equal(t, "pay the auditors (admin.yaml:12)", auditor.Own(connection("anything")).String())
	assert.Nil(t, set.For(Subject{Namespace: "bank", ServiceAccount: "auditor"}).Own(connection("anything")))
}

func TestDenyWinsOverEveryRule(t *testing.T) {
	set := newSet(t, admin, payments)
	worker := set.For(Subject{Namespace: "payments", ServiceAccount: "worker"})
	assert.Equal(t, "admin.yaml:18", worker.Denied(connection("leaked")).String(), "without a subject it is for everybody")
	assert.Nil(t, worker.Denied(connection("warehouse")))
	dev := set.For(Subject{Namespace: "payments-dev", ServiceAccount: "worker"})
	assert.NotNil(t, dev.Denied(connection("warehouse")))
	assert.NotNil(t, dev.Denied(connection("aws_default")), "a team may keep its own pods from what is for all")
	assert.Nil(t, set.For(Subject{Namespace: "bank", ServiceAccount: "worker"}).Denied(connection("aws_default")))
}

func TestATeamsFileStaysWithinTheTeam(t *testing.T) {
	parsed, err := Parse("admin.yaml", []byte(admin))
	require.NoError(t, err)
	for _, row := range []struct{ old, changed, message string }{
		{`["*"]`, "[bank]", `payments.yaml:2: namespace "bank" is not of team "payments", and its file can let in none but its own`},
		{`["*"]`, "[payments, ba*]", `payments.yaml:2: namespace "ba*" is not of team "payments"`},
		{`["*"]`, "[paymentsx]", `namespace "paymentsx" is not`},
		{"payments-dev", "bank", `payments.yaml:6: namespace "bank" is not`},
		{"  serviceAccounts: [worker]\n", "  serviceAccounts: [worker]\n  team: bank\n", "payments.yaml:4: team: the rules of a team's file are about that team's entries"},
		{"rules:", "teams: []\nrules:", "payments.yaml:1: teams: only the admin's own file says which there are"},
		{"- namespaces: [\"*\"]\n  serviceAccounts: [worker]", "- tenants: [bank-eu]\n  dags: [d]", `payments.yaml:2: tenant "bank-eu" is not of team "payments"`},
	} {
		content := strings.Replace(payments, row.old, row.changed, 1)
		require.NotEqual(t, payments, content)
		own, err := ParseTeam("payments.yaml", []byte(content))
		if err == nil {
			_, err = own.For(parsed.Teams[0])
		}
		assert.ErrorContains(t, err, row.message, content)
	}
}

func TestParseRefusesTeams(t *testing.T) {
	for _, row := range []struct{ old, changed, message string }{
		{"name: bank", "name: payments", `admin.yaml:4: two teams are called "payments"; rename one`},
		{"namespaces: [bank]", "namespaces: [payments]", `admin.yaml:4: namespaces: "payments" of team "bank" may be of team "payments" too; a namespace can be of one`},
		{"namespaces: [bank]", "namespaces: [payments-eu]", `"payments-eu" of team "bank" may be of team "payments" too`},
		{"namespaces: [bank]", `namespaces: ["*-eu"]`, `"*-eu" of team "bank" may be of team "payments" too`},
		{"namespaces: [bank]", `namespaces: ["pay*nts"]`, `"pay*nts" of team "bank" may be of team "payments" too`},
		{"sources: [bank, ledger]", "sources: [bank, payments]", `source "payments" is of team "payments" and of team "bank"; it can be of one`},
		{"sources: [bank, ledger]", `sources: ["*"]`, `sources: "*": a name is of letters`},
		{"sources: [bank, ledger]", "sources: bank", "sources: want a list of names"},
		{"name: bank", "name: ../bank", `team "../bank": a name is of letters, digits, - and _, at most 50 of them`},
		{"name: bank", "name: admin", `team "admin": that is what the admin's own file is called`},
		{"name: bank", "name: []", "name: want a name"},
		{"- name: bank\n ", "-", "a team needs a name"},
		{"  namespaces: [bank]\n  tenants: [bank-*]\n", "", `team "bank" has nobody; want namespaces, tenants or both`},
		{"  team: payments", "  team: paymenst", `admin.yaml:12: team: there is no team "paymenst"`},
		{"- connections: [leaked]", "- {connections: [leaked], team: bank}", "team: what is denied is denied of all teams' entries"},
		{"- connections: [leaked]", "- {serviceAccounts: [a]}", "rule for pods needs both"},
		{"- connections: [leaked]", "- {}", "rule allows nothing"},
		{"deny:", "denies:", `the file has no key "denies"`},
	} {
		content := strings.Replace(admin, row.old, row.changed, 1)
		require.NotEqual(t, admin, content)
		_, err := Parse("admin.yaml", []byte(content))
		assert.ErrorContains(t, err, row.message, content)
	}
}

func TestParseBoundsAFile(t *testing.T) {
	for name, row := range map[string]struct{ content, message string }{
		"bytes":    {strings.Repeat("#", MaxSize+1), "is larger than"},
		"rules":    {"rules: [" + strings.Repeat("{},", maxRules+1) + "]", "at most"},
		"patterns": {"rules:\n- {namespaces: [a], serviceAccounts: [a], connections: [" + strings.Repeat("a,", MaxPatterns) + "]}", "more than"},
		"teams":    {"rules: []\nteams: [" + strings.Repeat("{},", maxTeams+1) + "]", "at most"},
	} {
		_, err := Parse("admin.yaml", []byte(row.content))
		assert.ErrorContains(t, err, row.message, name)
	}
	_, err := Parse("admin.yaml", []byte("rules: ["+strings.Repeat("{},", maxRules)+"]"))
	assert.Len(t, strings.Split(err.Error(), "\n"), mostFaults, "so many faults are told, and no more")
}

func TestReadersTellWhoMayReadWhich(t *testing.T) {
	before := newSet(t, admin, payments)
	moved := newSet(t, strings.Replace(admin, "payments-*", "pay-*", 1), strings.Replace(payments, "payments-dev", "payments", 1))
	assert.NotEqual(t, before.Readers("payments", connection("warehouse")), moved.Readers("payments", connection("warehouse")),
		"who is of the team is a part of who may read")
	less := newSet(t, admin, strings.Replace(payments, "leaked, gone", "gone", 1))
	assert.Equal(t, before.Readers("payments", connection("warehouse")), less.Readers("payments", connection("warehouse")))
	assert.NotEqual(t, before.Readers("payments", connection("leaked")), less.Readers("payments", connection("leaked")))
	assert.Equal(t, before.Readers("", connection("other")), less.Readers("", connection("other")))
	open := newSet(t, admin, strings.Replace(payments, "[warehouse, aws_default]", "[warehouse]", 1))
	assert.NotEqual(t, before.Readers("", connection("aws_default")), open.Readers("", connection("aws_default")),
		"a team's deny is about what is for all, too")
}

// FuzzOverlaps holds overlaps against texts that both patterns match.
func FuzzOverlaps(f *testing.F) {
	f.Add("a*b", "*c*", "acb")
	f.Add("payments-*", "*-eu", "payments-eu")
	f.Add("a", "b", "a")
	f.Add("*a", "b*", "ba")
	f.Fuzz(func(t *testing.T, a, b, text string) {
		first, second := Pattern(a), Pattern(b)
		require.Equal(t, first.overlaps(second), second.overlaps(first))
		if first.Matches(text) && second.Matches(text) {
			require.True(t, first.overlaps(second))
		}
	})
}

func TestOverlaps(t *testing.T) {
	for _, row := range []struct {
		a, b Pattern
		want bool
	}{
		{"a*", "ab", true}, {"a*", "b*", false}, {"*a", "*b", false}, {"*a", "b*", true}, {"a*b", "a*c", false},
		{"a*b*c", "ab*bc", true}, {"*", "x", true}, {"*", "", true}, {"a*a", "a", false}, {"**", "*", true}, {"a*", "*", true},
	} {
		assert.Equal(t, row.want, row.a.overlaps(row.b), "%s %s", row.a, row.b)
	}
}
