package rule

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

func TestPatternMatches(t *testing.T) {
	for _, row := range []struct {
		pattern Pattern
		yes, no []string
	}{
		{"warehouse", []string{"warehouse"}, []string{"", "Warehouse", "warehouse2", "a-warehouse"}},
		{"*", []string{"", "anything", "a/b", "a*b"}, nil},
		{"gcp_*", []string{"gcp_", "gcp_default"}, []string{"gcp", "a_gcp_b"}},
		{"*_ro", []string{"_ro", "db_ro"}, []string{"db_ro2", "ro"}},
		{"a*a", []string{"aa", "aba"}, []string{"a", "ab"}},
		{"a*b*c", []string{"abc", "a1b2c", "abbc", "abcbc"}, []string{"ac", "acb", "a1c"}},
		{"*mid*", []string{"mid", "amidst"}, []string{"mi", "m-id"}},
		{"a**b", []string{"ab", "a-b"}, []string{"a", "ba"}},
		{"a*b*b", []string{"abb", "ab-b"}, []string{"ab"}},
	} {
		for _, text := range row.yes {
			assert.True(t, row.pattern.Matches(text), "%q ~ %q", row.pattern, text)
		}
		for _, text := range row.no {
			assert.False(t, row.pattern.Matches(text), "%q ~ %q", row.pattern, text)
		}
	}
}

const file = `# who may read what
rules:
- namespaces: [team-a, team-a-*]
  serviceAccounts: [airflow-worker]
  connections: [warehouse, gcp_*]
  variables: ["*"]
- tenants: [acme]
  dags: ["billing_*"]
  connections: [billing]
`

func connection(id string) entry.Name { return entry.Name{Kind: entry.Connection, ID: id} }
func variable(id string) entry.Name   { return entry.Name{Kind: entry.Variable, ID: id} }

// canRead is whether the admin's rules of content alone let subject read what is for all.
func canRead(set Set, subject Subject, name entry.Name) bool {
	return set.For(subject).Shared(name) != nil
}

func TestCanRead(t *testing.T) {
	parsed, err := Parse("rules.yaml", []byte(file))
	require.NoError(t, err)
	set := NewSet(parsed, nil)
	pod := Subject{Namespace: "team-a", ServiceAccount: "airflow-worker"}
	task := Subject{Tenant: "acme", DAG: "billing_daily"}

	assert.True(t, canRead(set, pod, connection("warehouse")))
	assert.True(t, canRead(set, pod, connection("gcp_default")))
	assert.True(t, canRead(set, pod, variable("whatever is or is not there")))
	assert.True(t, canRead(set, Subject{Namespace: "team-a-dev", ServiceAccount: "airflow-worker"}, connection("warehouse")))
	assert.True(t, canRead(set, task, connection("billing")))

	for name, row := range map[string]struct {
		subject Subject
		name    entry.Name
	}{
		"another connection":      {pod, connection("billing")},
		"another service account": {Subject{Namespace: "team-a", ServiceAccount: "default"}, connection("warehouse")},
		"another namespace":       {Subject{Namespace: "team-b", ServiceAccount: "airflow-worker"}, connection("warehouse")},
		"another tenant":          {Subject{Tenant: "other", DAG: "billing_daily"}, connection("billing")},
		"another dag":             {Subject{Tenant: "acme", DAG: "sales"}, connection("billing")},
		"no dag":                  {Subject{Tenant: "acme"}, connection("billing")},
		"a variable of that name": {task, variable("billing")},
		"no kind":                 {pod, entry.Name{ID: "warehouse"}},
		"nobody":                  {Subject{}, connection("warehouse")},
		"a task in the pod's place": {Subject{Tenant: "x", Namespace: "team-a", ServiceAccount: "airflow-worker"},
			connection("warehouse")},
	} {
		assert.False(t, canRead(set, row.subject, row.name), name)
	}
	assert.False(t, canRead(Set{}, pod, connection("warehouse")), "the zero value denies")
}

func TestNobodyIsNotMatchedByAnyPattern(t *testing.T) {
	parsed, err := Parse("r", []byte(`{rules: [{namespaces: ["*"], serviceAccounts: ["*"], connections: ["*"]}]}`))
	require.NoError(t, err)
	set := NewSet(parsed, nil)
	assert.False(t, canRead(set, Subject{}, connection("c")))
	assert.False(t, canRead(set, Subject{Tenant: "acme"}, connection("c")))
}

func TestParseRefuses(t *testing.T) {
	for _, row := range []struct{ old, changed, message string }{
		{file, "", "rules.yaml:1: no rules; 'rules: []' denies everything"},
		{file, "# nothing\n", "rules.yaml:1: no rules; 'rules: []' denies everything"},
		{file, "{}", "rules.yaml:1: no rules; 'rules: []' denies everything"},
		{file, "[]", "rules.yaml:1: the file: want a mapping"},
		{file, "rules: {}", "rules.yaml:1: rules: want a list"},
		{file, file + "---\nrules: []\n", "rules.yaml:10: more than one YAML document; want one"},
		{file, file + "---\nrules: *all\n", "rules.yaml:11: is not YAML: an alias has no anchor; put text that begins with * in quotes"},
		{"rules:", "rule:", `rules.yaml:2: the file has no key "rule"`},
		{"  variables", "  variable", `rules.yaml:6: a rule has no key "variable"`},
		{"  variables", "  connections", `rules.yaml:6: a rule has "connections" twice`},
		{`["*"]`, `*`, "rules.yaml:6: is not YAML: "},
		{file, "\t" + file, "rules.yaml:1: is not YAML: found character that cannot start any token"},
		{`["*"]`, `*all`, "rules.yaml:6: is not YAML: an alias has no anchor; put text that begins with * in quotes"},
		{`["*"]`, `"*"`, "rules.yaml:6: variables: want a list of patterns"},
		{`["*"]`, `[null]`, "rules.yaml:6: variables: want a pattern; quote it where it begins with *"},
		{`["*"]`, `[[a]]`, "rules.yaml:6: variables: want a pattern; quote it where it begins with *"},
		{`["*"]`, `[""]`, "rules.yaml:6: variables: empty pattern"},
		{`["*"]`, `["a?"]`, `rules.yaml:6: variables: pattern "a?": only * is special; ?, [, ], { and } are not allowed`},
		{"  serviceAccounts: [airflow-worker]\n", "", `rules.yaml:3: rule for pods needs both namespaces and serviceAccounts; ["*"] means any`},
		{`  dags: ["billing_*"]` + "\n", "", `rules.yaml:7: rule for task instances needs both tenants and dags; ["*"] means any`},
		{"- tenants", `- name: "\e[2K+ nothing\n"` + "\n  tenants", `rules.yaml:7: name: "\x1b[2K+ nothing\n" holds what cannot be printed`},
		{"  connections: [billing]\n", "", "rules.yaml:7: rule allows nothing; want connections, variables or both"},
		{"  connections: [billing]\n", "  connections: []\n", "rules.yaml:7: rule allows nothing; want connections, variables or both"},
		{"- tenants: [acme]\n", "- tenants: [acme]\n  namespaces: [a]\n", "rules.yaml:7: rule is for pods (namespaces, serviceAccounts) and for task instances (tenants, dags); write two rules"},
		{"- tenants: [acme]\n" + `  dags: ["billing_*"]` + "\n  connections", "- connections",
			"rules.yaml:7: rule is for nobody; want namespaces and serviceAccounts, or tenants and dags"},
	} {
		content := strings.Replace(file, row.old, row.changed, 1)
		_, err := Parse("rules.yaml", []byte(content))
		assert.ErrorContains(t, err, row.message, content)
	}
}

func TestParseTellsAllFaultsAtOnce(t *testing.T) {
	content := strings.NewReplacer("dags", "dag", "variables", "variable").Replace(file)
	_, err := Parse("rules.yaml", []byte(content))
	assert.ErrorContains(t, err, `rules.yaml:6: a rule has no key "variable"`)
	assert.ErrorContains(t, err, `rules.yaml:8: a rule has no key "dag"`)
}

func TestParseTakesNoRules(t *testing.T) {
	set, err := Parse("rules.yaml", []byte("rules: []\n"))
	require.NoError(t, err)
	assert.Empty(t, set.Rules)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(file))
	f.Add([]byte("rules: []"))
	f.Add([]byte("rules: [*a]\n"))
	f.Add([]byte("rules: &a [{namespaces: *a}]"))
	f.Fuzz(func(t *testing.T, content []byte) {
		set, err := Parse("rules.yaml", content)
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "rules.yaml:"), err)
			require.Empty(t, set.Rules)
			return
		}
		for _, rule := range set.Rules {
			pod := len(rule.Namespaces) > 0 && len(rule.ServiceAccounts) > 0
			task := len(rule.Tenants) > 0 && len(rule.DAGs) > 0
			require.True(t, pod != task)
			require.NotZero(t, len(rule.Connections)+len(rule.Variables))
		}
	})
}

func FuzzPattern(f *testing.F) {
	f.Add("a*b", "ab")
	f.Add("*a*", "banana")
	f.Add("**********+", "as long as 32 bytes, without one")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		require.Equal(t, matchesSlowly(pattern, text), Pattern(pattern).Matches(text))
	})
}

// matchesSlowly is the definition of a pattern, byte by byte: after each of them, reached
// says how much of text may stand for the pattern so far.
func matchesSlowly(pattern, text string) bool {
	reached := make([]bool, len(text)+1)
	reached[0] = true
	for _, char := range []byte(pattern) {
		if char == '*' {
			for end := range len(text) {
				reached[end+1] = reached[end+1] || reached[end]
			}
			continue
		}
		for end := len(text); end > 0; end-- {
			reached[end] = reached[end-1] && text[end-1] == char
		}
		reached[0] = false
	}
	return reached[len(text)]
}

// Without a driver only a rule that says so lets read, and a denial counts in any case.
func TestDirect(t *testing.T) {
	const rules = `rules:
- {namespaces: [a, b], serviceAccounts: [s], variables: [shown], direct: true}
- {namespaces: [a], serviceAccounts: [s], variables: [hidden], direct: false}
deny: [{namespaces: [b], serviceAccounts: [s], variables: [shown]}]
`
	parsed, err := Parse("rules.yaml", []byte(rules))
	require.NoError(t, err)
	set := NewSet(parsed, nil)
	pod := Subject{Namespace: "a", ServiceAccount: "s"}
	self := pod
	self.Direct = true
	assert.True(t, canRead(set, pod, variable("shown")))
	assert.True(t, canRead(set, pod, variable("hidden")))
	assert.True(t, canRead(set, self, variable("shown")))
	assert.False(t, canRead(set, self, variable("hidden")))
	assert.True(t, set.Direct(pod))
	assert.False(t, set.Direct(Subject{Namespace: "c", ServiceAccount: "s"}))
	access := set.Access("", variable("shown"), "")
	assert.True(t, access.Lets(self))
	assert.False(t, set.Access("", variable("hidden"), "").Lets(self))
	denied := Subject{Namespace: "b", ServiceAccount: "s", Direct: true}
	assert.False(t, access.Lets(denied))
	assert.NotNil(t, set.For(denied).Denied(variable("shown")))
	without, err := Parse("rules.yaml", []byte(strings.Replace(rules, ", direct: true", "", 1)))
	require.NoError(t, err)
	assert.NotEqual(t, set.Readers("", variable("shown")), NewSet(without, nil).Readers("", variable("shown")), "a watch tells of it")
	assert.Equal(t, "a/s without a driver", parsed.Rules[0].Pairs()[2].String())

	_, err = Parse("rules.yaml", []byte(strings.Replace(rules, "direct: true", "direct: yes-please", 1)))
	assert.ErrorContains(t, err, "rules.yaml:2: direct: want true or false")
	_, err = Parse("rules.yaml", []byte("rules: []\ndeny: [{connections: [a], direct: true}]"))
	assert.ErrorContains(t, err, "direct: what is denied is denied however it is asked for; write no direct")
}
