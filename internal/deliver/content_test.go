package deliver

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

func TestWhatBecomesOfAnEntryIsDecidedByItsState(t *testing.T) {
	for state, want := range map[layout.State]struct{ required, optional, live fate }{
		layout.Delivered:   {deliver, deliver, deliver},
		layout.Denied:      {fail, leave, leave},
		layout.Missing:     {fail, leave, leave},
		layout.Unavailable: {fail, fail, hold},
		layout.Invalid:     {fail, leave, hold},
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
	entries := []seam.Entry{
		seam.Refused(connectionName("gone"), layout.Missing, ""),
		seam.Refused(connectionName("kept"), layout.Denied, "no rule"),
		seam.Refused(connectionName("broken"), layout.Invalid, "its seal is broken"),
		seam.Refused(variableName("region"), layout.Missing, ""),
	}
	_, err := contentOf(task{spec: spec}, entries)
	assert.Equal(t, report.Denied, reasonOf(t, err))
	for _, id := range []string{"gone", "kept", "region"} {
		assert.ErrorContains(t, err, id)
	}
	assert.NotContains(t, err.Error(), "broken")

	awaited, away := connectionName("awaited"), connectionName("away")
	_, err = contentOf(task{spec: spec}, append(entries, seam.Refused(awaited, layout.Unavailable, ""), seam.Refused(away, layout.Unavailable, "the cloud is away")))
	assert.Equal(t, report.Unavailable, reasonOf(t, err))
	require.EqualError(t, err, `connection "away" cannot be completed now: the cloud is away`)
}
