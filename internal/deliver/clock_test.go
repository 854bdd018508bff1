package deliver

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Within one process all waiting is by the monotonic clock, which nothing steps. What
// outlives a process, and a step with it, is when a volume's files were confirmed: the
// tests move that, since the machine's clock is everybody's.
func TestAClockThatIsSteppedTakesNothingAway(t *testing.T) {
	for name, row := range map[string]struct {
		confirmed time.Duration // as the stepped clock sees it
		stale     bool
	}{
		"forth": {confirmed: -time.Hour, stale: true},
		"back":  {confirmed: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			before := newRig(t)
			v := before.volume(t, "a")
			require.NoError(t, before.Publish(t.Context(), v))
			at := time.Now().Add(row.confirmed)
			require.NoError(t, os.Chtimes(filepath.Join(v.TargetPath, layout.DataLink, layout.ManifestFile), at, at))

			after := New(before.Config)
			before.fake.SetConnection(warehouse("second"))
			require.NoError(t, after.Publish(t.Context(), v))
			assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
			assert.Equal(t, row.stale, after.Census()[0].Stale)
			assert.NotContains(t, must(after.Health(v.ID)).Age(), "-")

			(&rig{Deliverer: after}).look(t)
			assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))
			assert.False(t, after.Census()[0].Stale, "it is confirmed anew")
			assert.WithinDuration(t, time.Now(), after.Census()[0].Confirmed, time.Minute)
		})
	}
}
