//go:build store

package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

// question is one variant of a store's backend_kwargs, and what is asked by it.
type question struct {
	Class       string         `json:"class"`
	Kwargs      map[string]any `json:"kwargs"`
	Connections []string       `json:"connections"`
	Variables   []string       `json:"variables"`
	// Held are the secrets of a store that the class's client is replaced for.
	Held map[string]string `json:"held"`
	// Team is for whose task the class is asked; null where it knows no teams.
	Team *string `json:"team"`
	// API is where Kubernetes is, for the class that asks it.
	API map[string]string `json:"api"`
	// Server has it give what Airflow's server makes of a connection, in place of what a task does.
	Server bool `json:"server"`

	name string
	// ofRights has it be about who may read, for which a few ids do.
	ofRights bool
	ours     provider.Provider
	pod      provider.Identity
}

// said is what Airflow's class made of one id.
type said struct {
	None       bool            `json:"none"`
	Error      string          `json:"error"`
	Value      json.RawMessage `json:"value"`
	Connection map[string]any  `json:"connection"`
}

type answers struct {
	Connections map[string]said `json:"connections"`
	Variables   map[string]said `json:"variables"`
}

// ask has the class of an age answer.
func (a age) ask(t *testing.T, questions []question, environment ...string) []answers {
	t.Helper()
	dir, err := a.install(t.Context(), cacheDir(t), func(line string) { t.Log(line) })
	require.NoError(t, err)
	input, err := json.Marshal(questions)
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", "python"), "python/ask.py")
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AIRFLOW_HOME=" + t.TempDir(), "LANG=C.UTF-8", "AWS_EC2_METADATA_DISABLED=true",
		"AIRFLOW__CORE__LOAD_EXAMPLES=False", "PYTHONDONTWRITEBYTECODE=1"}
	command.Env = append(command.Env, environment...)
	var logged bytes.Buffer
	command.Stdin, command.Stderr = bytes.NewReader(input), &logged
	output, err := command.Output()
	require.NoError(t, err, "%s", logged.String())
	var made []answers
	require.NoError(t, json.Unmarshal(output, &made))
	require.Len(t, made, len(questions))
	return made
}

func cacheDir(t *testing.T) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	require.NoError(t, err)
	return filepath.Join(dir, "leoflow-airflow-test")
}

// difference is where we give something else than Airflow's class on purpose.
type difference struct{ airflow, ours, why string }

const (
	// leastIDs is how many different ids each store's class is asked for by each variant of its options.
	leastIDs = 60
	// leastFound is how many of them it has at least, where the variant is not there to find nothing.
	leastFound = 12
)

// findNothing are the variants by which a class asks for nothing, or for what is not there.
var findNothing = []string{"switched off", "an impossible one"}

// judge holds what we give against what the classes of all ages give. A difference that is not listed fails, and
// so does one that is listed and never seen.
func judge(t *testing.T, questions []question, listed map[string]difference) {
	t.Helper()
	judgeBy(t, ages, questions, listed)
}

// judgeServer does so of the class of connections that Airflow's server uses, which the oldest has for tasks, too.
func judgeServer(t *testing.T, one question, listed map[string]difference) {
	t.Helper()
	one.Server = true
	judgeBy(t, ages[:1], []question{one}, listed)
}

// hold makes sure that a variant is asked for enough, and that enough of it is there to compare.
func (q question) hold(t *testing.T, found int) {
	t.Helper()
	if q.ofRights {
		return
	}
	ids := map[string]bool{}
	for _, id := range slices.Concat(q.Connections, q.Variables) {
		ids[id] = true
	}
	t.Logf("%s: %d ids, of which Airflow's class has %d", q.name, len(ids), found)
	assert.GreaterOrEqual(t, len(ids), leastIDs, q.name)
	if q.Team == nil && !slices.Contains(findNothing, q.name) { // and a team has few of its own
		assert.GreaterOrEqual(t, found, leastFound, q.name)
	}
}

// judgeTeams does so where teams are kept apart, which the newest alone can.
func judgeTeams(t *testing.T, questions []question, listed map[string]difference) {
	t.Helper()
	judgeBy(t, ages[:1], questions, listed, "AIRFLOW__CORE__MULTI_TEAM=True")
}

func judgeBy(t *testing.T, ages []age, questions []question, listed map[string]difference, environment ...string) {
	t.Helper()
	seen := map[string]bool{}
	for _, each := range ages {
		compared, differed := 0, 0
		for i, answered := range each.ask(t, questions, environment...) {
			q := questions[i]
			entries, err := q.ours.Fetch(t.Context(), q.pod, providertest.Names(q.Connections, q.Variables))
			require.NoError(t, err, q.name)
			found := 0
			for _, one := range entries {
				theirs := answered.Connections[one.ID]
				if one.Kind == entry.Variable {
					theirs = answered.Variables[one.ID]
				}
				compared++
				want, got := theirs.short(), short(one)
				if !theirs.None && theirs.Error == "" {
					found++
				}
				if want == got {
					continue
				}
				differed++
				key := each.name + ": " + one.ID
				known, found := listed[key]
				if !found {
					key = one.ID
					known, found = listed[key]
				}
				seen[key] = true
				if !found || !strings.HasPrefix(want, known.airflow) || !strings.HasPrefix(got, known.ours) {
					assert.Fail(t, "a difference that is not listed", "%s, %s, %s\n  Airflow %.300s\n  ours    %.300s", each.name, q.name, one.Name(), want, got)
				}
			}
			q.hold(t, found)
		}
		t.Logf("age %s: %d answers of %d variants compared, %d differ as listed", each.name, compared, len(questions), differed)
	}
	for id := range listed {
		assert.True(t, seen[id], "%s is listed as a difference, and there is none (%s)", id, listed[id].why)
	}
}

// short tells of an answer in a line. What is refused is alike for whatever reason.
func (s said) short() string {
	switch {
	case s.None:
		return "missing"
	case s.Error != "":
		return "refused"
	case s.Connection != nil:
		if text, isText := s.Connection["extra"].(string); isText {
			s.Connection["extra"] = plain(text)
		}
		return "connection " + spelt(s.Connection)
	}
	var text string
	if json.Unmarshal(s.Value, &text) == nil {
		return "variable " + text
	}
	return "no text " + string(s.Value)
}

func short(one entry.Entry) string {
	switch {
	case one.State == entry.Missing:
		return "missing"
	case one.State != entry.Delivered:
		return "refused"
	case one.Kind == entry.Variable:
		return "variable " + one.Text.Reveal()
	}
	made := one.Connection
	fields := map[string]any{"conn_type": made.Type, "port": nil, "password": nil, "extra": nil}
	for name, field := range map[string]*string{"description": made.Description, "host": made.Host, "login": made.Login, "schema": made.Schema} {
		fields[name] = nil
		if field != nil {
			fields[name] = *field
		}
	}
	if made.Port != nil {
		fields["port"] = float64(*made.Port)
	}
	if made.Password != nil {
		fields["password"] = made.Password.Reveal()
	}
	if made.Extra != nil {
		fields["extra"] = plain(made.Extra.Reveal())
	}
	return "connection " + spelt(fields)
}

// plain is the extra without white space and with its keys in order, if it is JSON.
func plain(text string) any {
	var value any
	if text == "" {
		return nil
	}
	if json.Unmarshal([]byte(text), &value) != nil {
		return text
	}
	return value
}

func spelt(fields map[string]any) string {
	text, err := json.Marshal(fields)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(text)
}
