package deliver

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

// idsLike are count ids of the same beginning.
func idsLike(beginning string, count int) []string {
	ids := make([]string, count)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%03d", beginning, i)
	}
	return ids
}

func TestAMessageThatAnEventHasNoRoomForIsMadeToFit(t *testing.T) {
	for name, row := range map[string]struct {
		arrange func(*rig, *Volume)
		message string
	}{
		"ids alone": {func(_ *rig, v *Volume) { v.Variables = named(idsLike("missing", 25)...) },
			`25 variables not in core: "missing000", "missing001", "missing002", "missing003", "missing004", "missing005", "missing006", "missing007", "missing008", "missing009", "missing010", "missing011", "missing012", "missing013", "missing014", "missing015", "missing016", "missing017", "missing018", "missing019", "missing020", "missing021", "missing022", "missing023", "missing024"` + remedyFor(false, true)},
		"some of many": {func(_ *rig, v *Volume) { v.Variables = named(idsLike("missing", 500)...) },
			`"missing052", "missing053" and 446 more` + remedyFor(false, true)},
		"of each kind and reason": {func(r *rig, v *Volume) {
			v.Connections, v.Variables = named(idsLike("denied", 300)...), named(idsLike("missing", 300)...)
			for _, id := range idsLike("denied", 300) {
				r.fake.Deny("etl", entry.Name{Kind: entry.Connection, ID: id})
			}
		}, `300 connections denied to service account airflow/etl by core: "denied000", `},
		"one very long": {func(_ *rig, v *Volume) { v.Variables = named(strings.Repeat("é", 100), strings.Repeat("\x01", 250)) },
			`\x01"…, "` + strings.Repeat("é", 50) + `"…`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			v := r.volume(t, "a")
			row.arrange(r, &v)
			err := r.Publish(t.Context(), v)
			require.Error(t, err)
			assert.Contains(t, err.Error(), row.message)
			assert.LessOrEqual(t, len(err.Error()), 900)
			for _, wanted := range []Wanted{v.Connections, v.Variables} {
				for _, name := range wanted.Names {
					if name.ID != "warehouse" {
						assert.Contains(t, r.logged(t, "not delivered", "error"), strconv.Quote(name.ID), "the log has all")
					}
				}
			}
		})
	}
}

// logged is an attribute of the one line with that message.
func (r *rig) logged(t *testing.T, message, key string) string {
	t.Helper()
	for line := range strings.Lines(r.log.String()) {
		var attributes map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &attributes))
		if attributes["msg"] == message {
			return fmt.Sprint(attributes[key])
		}
	}
	require.Fail(t, "no such line", message)
	return ""
}

func TestWithdrawnEntriesAreCountedWhereTheyAreMany(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	ids := idsLike("key", 200)
	for _, id := range ids {
		r.fake.SetVariable(id, "value")
	}
	v.Variables = named(ids...)
	require.NoError(t, r.Publish(t.Context(), v))
	for _, id := range ids {
		r.fake.Remove(entry.Name{Kind: entry.Variable, ID: id})
	}
	r.look(t)
	problem := must(r.Health(v.ID)).Problem
	assert.Contains(t, problem, `withdrawn: 200 variables not in core: "key000", "key001", `)
	assert.Less(t, len(problem), 900)
}
