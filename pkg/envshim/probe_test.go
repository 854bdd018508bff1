package envshim

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

func TestProbe(t *testing.T) {
	volume := newVolume(t)
	shown := content(map[string]string{"my-key": "needle", "region": "needle"})
	stored := layout.Notice{Code: "key-in-core", Message: "a cloud key is stored in core"}
	shown.Entries[1].Notices = []layout.Notice{stored}
	grade := &layout.Grade{State: "runtime", Reason: "keyless"}
	shown.Entries[1].Grade, shown.Entries[1].Source, shown.Entries[1].Rule = grade, "core", "workers"
	shown.Entries = append(shown.Entries,
		mount.Entry{Entry: layout.Entry{Kind: "connection", ID: "optional", State: "missing"}},
		mount.Entry{Entry: layout.Entry{Kind: "connection", ID: "forbidden", State: "denied", Required: true}})
	_, err := mount.Write(volume, shown)
	require.NoError(t, err)

	report := Probe(volume, Program{Environ: []string{"AIRFLOW_VAR_REGION=south"}})
	assert.EqualValues(t, 1, report.Generation)
	assert.Equal(t, []Finding{
		{Kind: "connection", ID: "forbidden", State: "denied"},
		{Kind: "connection", ID: "optional", State: "missing"},
		{Kind: "variable", ID: "my-key", State: "delivered", Env: "AIRFLOW_VAR_MY-KEY", File: "variables/my-key", Size: 26, Notices: []layout.Notice{
			{Code: "no-shell-name", Message: "dash and busybox sh do not hand this name on; start the program itself, or use bash"}}},
		{Kind: "variable", ID: "region", State: "delivered", Env: "AIRFLOW_VAR_REGION", File: "variables/region", Source: "core", Rule: "workers",
			Size: 26, Grade: grade, Notices: []layout.Notice{stored,
				{Code: "already-set", Message: "already set to something else here; 'agent exec' replaces it"}}},
	}, report.Entries)
	assert.Equal(t, []string{`connection "forbidden" is denied and required: it was withdrawn`}, report.Problems)
}

// Who looks from the container has no other way to learn that a value is an old one.
func TestProbeTellsWhatIsHeld(t *testing.T) {
	volume := newVolume(t)
	shown := content(map[string]string{"region": "needle"})
	_, err := mount.Write(volume, shown)
	require.NoError(t, err)
	shown.Entries[0].Hold, shown.Entries[0].Why = true, "its seal is broken"
	_, err = mount.Write(volume, shown)
	require.NoError(t, err)

	report := Probe(volume, Program{})
	require.Len(t, report.Entries, 1)
	assert.Equal(t, layout.Delivered, report.Entries[0].State)
	require.NotNil(t, report.Entries[0].Held)
	assert.Equal(t, "its seal is broken", report.Entries[0].Held.Why)
	assert.Empty(t, report.Problems, "a program can be started with it")
}

func TestProbeFindsProblems(t *testing.T) {
	volume := newVolume(t)
	large := content(map[string]string{"large": strings.Repeat("x", 200_000)})
	large.Entries[0].Required = true
	_, err := mount.Write(volume, large)
	require.NoError(t, err)
	report := Probe(volume, Program{})
	require.Len(t, report.Problems, 1)
	assert.Contains(t, report.Problems[0], "AIRFLOW_VAR_LARGE takes 200019 bytes with its name")

	deliver(t, volume, map[string]string{"id": "a", "ID": "b"})
	report = Probe(volume, Program{})
	require.Len(t, report.Problems, 1)
	assert.Contains(t, report.Problems[0], `variable "ID" and variable "id" would both be AIRFLOW_VAR_ID`)

	report = Probe(filepath.Join(volume, "absent"), Program{})
	require.Len(t, report.Problems, 1)
	assert.Contains(t, report.Problems[0], "nothing is delivered yet")
}
