package deliver

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

func TestWhatBecomesOfAnEntryIsDecidedByItsState(t *testing.T) {
	for state, want := range map[entry.State]struct{ required, optional, live fate }{
		entry.Delivered:   {deliver, deliver, deliver},
		entry.Denied:      {fail, leave, leave},
		entry.Missing:     {fail, leave, leave},
		entry.Unavailable: {fail, fail, hold},
		entry.Invalid:     {fail, leave, hold},
	} {
		assert.Equal(t, want.required, fateOf(state, true, false), state)
		assert.Equal(t, want.optional, fateOf(state, false, false), state)
		assert.Equal(t, want.live, fateOf(state, true, true), state)
		assert.Equal(t, want.live, fateOf(state, false, true), state)
	}
}

// Of a new volume that cannot be made the failure names every entry that keeps it from
// being made, unless one cannot be asked for: then nothing is known of the volume.
func TestAVolumeFailsForAllItsEntriesAtOnce(t *testing.T) {
	spec := Volume{Provider: "core", Connections: named("gone", "kept", "broken"), Variables: named("region")}
	spec.Connections.Names[2].Optional = true
	entries := []entry.Entry{
		entry.Refused(connectionName("gone"), entry.Missing, ""),
		entry.Refused(connectionName("kept"), entry.Denied, "no rule"),
		entry.Refused(connectionName("broken"), entry.Invalid, "its seal is broken"),
		entry.Refused(variableName("region"), entry.Missing, ""),
	}
	_, err := contentOf(task{spec: spec}, entries)
	assert.Equal(t, report.Denied, reasonOf(t, err))
	for _, id := range []string{"gone", "kept", "region"} {
		assert.ErrorContains(t, err, id)
	}
	assert.NotContains(t, err.Error(), "broken")

	awaited, away := connectionName("awaited"), connectionName("away")
	_, err = contentOf(task{spec: spec}, append(entries, entry.Refused(awaited, entry.Unavailable, ""), entry.Refused(away, entry.Unavailable, "the cloud is away")))
	assert.Equal(t, report.Unavailable, reasonOf(t, err))
	require.EqualError(t, err, `connection "away" cannot be completed now: the cloud is away`)
}
