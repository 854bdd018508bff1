package deliver

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// entryOf is a line of the volume's manifest.
func entryOf(t *testing.T, v Volume, id string) layout.Entry {
	t.Helper()
	shown, err := mount.Current(v.TargetPath)
	require.NoError(t, err)
	for _, entry := range shown.Manifest.Entries {
		if entry.ID == id {
			return entry
		}
	}
	require.Fail(t, "no such entry", id)
	return layout.Entry{}
}

// neighbours are the ways in which the connection "gcs" of a live volume gets into trouble.
var neighbours = map[string]struct {
	spoil func(r *rig, keys *trouble)
	why   string
	event report.EventReason
}{
	"broken in core": {func(r *rig, _ *trouble) { r.fake.Break(connectionName("gcs"), "its seal is broken") }, "its seal is broken", report.EventEntryInvalid},
	"not to be rendered": {func(r *rig, _ *trouble) {
		r.fake.SetConnection(airflow.Connection{ID: "gcs"})
	}, "conn_type", report.EventEntryInvalid},
	"misspelt": {func(r *rig, _ *trouble) {
		r.fake.SetConnection(gcp(`{"key_secret_name":"nowhere","key_secret_project_id":"p"}`))
	}, "missing", report.EventReferenceUnresolved},
	"unreachable": {func(_ *rig, keys *trouble) { keys.away = true }, "unavailable", report.EventEntryHeld},
	"silent":      {func(_ *rig, keys *trouble) { keys.silent = true }, "no answer within 500ms", report.EventEntryHeld},
	"too large": {func(r *rig, _ *trouble) {
		r.fake.SetConnection(airflow.Connection{ID: "gcs", Type: "postgres", Password: new(secret.New(strings.Repeat("x", megabyte)))})
	}, "do not fit", report.EventEntryInvalid},
}

// trouble is a vault that may also fall silent.
type trouble struct {
	vault
	silent bool
}

func (k *trouble) Resolve(ctx context.Context, pod provider.Identity, ref entry.Reference) (secret.Text, error) {
	if k.silent {
		<-ctx.Done()
		return secret.Text{}, provider.ErrUnavailable
	}
	return k.vault.Resolve(ctx, pod, ref)
}

func connectionName(id string) entry.Name { return entry.Name{Kind: entry.Connection, ID: id} }

func variableName(id string) entry.Name { return entry.Name{Kind: entry.Variable, ID: id} }

func TestAWithdrawalWaitsForNoNeighbour(t *testing.T) {
	for name, row := range neighbours {
		for _, optional := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, optional %v", name, optional), func(t *testing.T) {
				keys, told := &trouble{}, &diary{}
				arrange := func(r *rig) { r.asks.Resolver, r.Recorder = keys, told }
				rotated(t, arrange, func(t *testing.T, r *rig) {
					r.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
					v := r.volume(t, "a")
					v.Connections = named("warehouse", "gcs")
					v.Connections.Names[1].Optional = optional
					require.NoError(t, r.Publish(t.Context(), v))
					before := read(t, v, "connections/gcs")

					row.spoil(r, keys)
					r.fake.SetVariable("region", "south")
					r.fake.Deny("etl", connectionName("warehouse"))
					time.Sleep(time.Second)
					synctest.Wait()
					assert.NoFileExists(t, filepath.Join(v.TargetPath, "connections/warehouse"))
					assert.Equal(t, "south", read(t, v, "variables/region"), "it rotates")
					assert.Equal(t, before, read(t, v, "connections/gcs"), "it is held")
					assert.NotContains(t, read(t, v, layout.ConnectionsJSON), "warehouse")
					assert.Contains(t, read(t, v, layout.ConnectionsJSON), "gcs")

					time.Sleep(20 * time.Second) // so that the silent one was waited for
					synctest.Wait()
					require.NotNil(t, entryOf(t, v, "gcs").Held)
					assert.Contains(t, entryOf(t, v, "gcs").Held.Why, row.why)
					problem := must(r.Health(v.ID)).Problem
					assert.Contains(t, problem, `withdrawn: connection "warehouse" is denied`)
					assert.Contains(t, problem, `held as delivered before: connection "gcs" `)
					assert.Contains(t, r.log.String(), `"level":"WARN"`)
					lines := strings.Join(told.read(), "\n")
					assert.Equal(t, 1, strings.Count(lines, "a EntryWithdrawn: "), lines)
					assert.Equal(t, 1, strings.Count(lines, "a "+string(row.event)+": held as delivered before: "), lines)
					assert.LessOrEqual(t, must(r.Health(v.ID)).Generation, uint64(4), "nobody is woken for nothing")

					*keys = trouble{}
					r.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
					r.fake.Allow("etl", connectionName("warehouse"))
					time.Sleep(2 * schedule.MaxBackoff)
					synctest.Wait()
					assert.Empty(t, must(r.Health(v.ID)).Problem)
					assert.Nil(t, entryOf(t, v, "gcs").Held)
				})
			})
		}
	}
}

// Of an entry that is held nothing new is known while its reference is awaited, and nobody is
// told of it again.
func TestAReferenceThatIsAwaitedIsNoNews(t *testing.T) {
	for _, name := range []string{"misspelt", "unreachable", "broken in core"} {
		t.Run(name, func(t *testing.T) {
			row, keys, told := neighbours[name], &trouble{}, &diary{}
			rotated(t, func(r *rig) { r.asks.Resolver, r.Recorder = keys, told }, func(t *testing.T, r *rig) {
				r.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
				v := r.volume(t, "a")
				v.Connections = named("gcs")
				require.NoError(t, r.Publish(t.Context(), v))
				row.spoil(r, keys)
				r.fake.Notify(provider.Change{All: true})
				time.Sleep(schedule.MaxBackoff)
				synctest.Wait()
				lines := told.read()
				require.Len(t, lines, 1)
				require.Contains(t, lines[0], "a "+string(row.event)+": held as delivered before: ")

				r.log.Reset()
				for range 5 {
					for _, silent := range []bool{true, false} {
						keys.silent = silent
						r.fake.Notify(provider.Change{All: true})
						time.Sleep(2 * schedule.MaxBackoff)
						synctest.Wait()
						assert.Empty(t, told.read())
						assert.Contains(t, must(r.Health(v.ID)).Problem, `held as delivered before: connection "gcs" cannot be `)
						assert.NotNil(t, entryOf(t, v, "gcs").Held)
					}
				}
				assert.NotContains(t, r.log.String(), `"level":"WARN"`)
			})
		})
	}
}

// A volume of many with references that hang holds up no other either.
func TestAWithdrawalWaitsForNoOtherVolume(t *testing.T) {
	keys := &trouble{}
	rotated(t, func(r *rig) { r.asks.Resolver = keys }, func(t *testing.T, r *rig) {
		r.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
		var volumes []Volume
		for i := range 60 {
			v := r.volume(t, fmt.Sprint("pod-", i))
			v.Connections = named("warehouse", "gcs")
			v.Pod.ServiceAccount = fmt.Sprint("account-", i)
			require.NoError(t, r.Publish(t.Context(), v))
			volumes = append(volumes, v)
		}
		keys.silent = true
		r.fake.Remove(connectionName("warehouse"))
		time.Sleep(time.Second)
		synctest.Wait()
		for _, v := range volumes {
			assert.NoFileExists(t, filepath.Join(v.TargetPath, "connections/warehouse"))
			assert.FileExists(t, filepath.Join(v.TargetPath, "connections/gcs"))
		}
	})
}

// News that comes while a delivery waits for references has waited once already.
func TestAWithdrawalWaitsForAReferenceNoSecondTime(t *testing.T) {
	keys := &trouble{}
	rotated(t, func(r *rig) { r.asks.Resolver = keys }, func(t *testing.T, r *rig) {
		r.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
		v := r.volume(t, "a")
		v.Connections = named("warehouse", "gcs")
		require.NoError(t, r.Publish(t.Context(), v))
		keys.silent = true
		r.fake.SetVariable("region", "south")
		time.Sleep(seam.Patience / 10)
		synctest.Wait() // for a delivery that waits now
		r.fake.Remove(connectionName("warehouse"))
		time.Sleep(seam.Patience)
		synctest.Wait()
		assert.NoFileExists(t, filepath.Join(v.TargetPath, "connections/warehouse"))
		assert.FileExists(t, filepath.Join(v.TargetPath, "connections/gcs"))
		assert.Equal(t, "south", read(t, v, "variables/region"))
	})
}

// Nobody's value keeps a pod from starting that can do without it.
func TestAnOptionalEntryThatIsTooLargeKeepsNoPodFromStarting(t *testing.T) {
	told := &diary{}
	r := newRig(t)
	r.Recorder = told
	r.fake.SetVariable("huge", strings.Repeat("x", megabyte))
	for name, wanted := range map[string]Wanted{"optional": {Names: []WantedName{{ID: "region"}, {ID: "huge", Optional: true}}}, "all": {All: true}} {
		v := r.volume(t, name)
		v.Variables = wanted
		require.NoError(t, r.Publish(t.Context(), v))
		assert.Equal(t, "north", read(t, v, "variables/region"))
		assert.Equal(t, layout.Invalid, entryOf(t, v, "huge").State)
	}
	lines := told.read()
	require.Len(t, lines, 1, "the first pod of the namespace")
	assert.Contains(t, lines[0], `EntryInvalid: variable "huge": its 1048576 bytes do not fit`)

	v := r.volume(t, "required")
	v.Variables = named("huge")
	assert.Equal(t, report.NoSpace, reasonOf(t, r.Publish(t.Context(), v)))
}

func TestWhatWasNeverDeliveredCannotBeHeld(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	r.fake.Remove(variableName("region"))
	r.look(t)
	r.fake.Break(variableName("region"), "its seal is broken")
	r.look(t)
	assert.Equal(t, layout.Invalid, entryOf(t, v, "region").State)
	assert.NoFileExists(t, filepath.Join(v.TargetPath, "variables/region"), "what was taken away does not come back")
	assert.Contains(t, must(r.Health(v.ID)).Problem, `variable "region" cannot be delivered: its seal is broken`)
}

// The entry that comes later is refused, whichever of the two its neighbour's owner adds.
func TestAnIdThatClashesTakesNothingAway(t *testing.T) {
	told := &diary{}
	r := newRig(t)
	r.Recorder = told
	v := r.volume(t, "a")
	v.Variables = Wanted{All: true}
	require.NoError(t, r.Publish(t.Context(), v))

	r.fake.SetVariable("Region", "elsewhere")
	r.fake.SetVariable("region", "south")
	r.look(t)
	assert.Equal(t, "south", read(t, v, "variables/region"), "the first goes on")
	assert.Equal(t, layout.Invalid, entryOf(t, v, "Region").State)
	lines := told.read()
	require.Len(t, lines, 1)
	assert.Contains(t, lines[0], `a EntryInvalid: variable "Region": "region" and "Region" both become AIRFLOW_VAR_REGION, and "region" was delivered first`)

	r.fake.Break(variableName("region"), "its seal is broken")
	r.look(t)
	assert.Equal(t, "south", read(t, v, "variables/region"), "held, it still is the first")
	r.fake.Remove(variableName("region"))
	r.look(t)
	assert.Equal(t, "elsewhere", read(t, v, "variables/Region"), "the name is free")
}

func TestAPodIsToldOfAnOptionalEntryThatLeaves(t *testing.T) {
	told := &diary{}
	r := newRig(t)
	r.Recorder = told
	v := r.volume(t, "a")
	v.Variables.Names[0].Optional = true
	require.NoError(t, r.Publish(t.Context(), v))
	r.fake.Remove(variableName("region"))
	r.look(t)
	r.look(t)
	assert.Equal(t, []string{`a EntryWithdrawn: withdrawn: variable "region" does not exist in core`}, told.read())
	assert.Empty(t, must(r.Health(v.ID)).Problem, "the pod can do without")
}

// A withdrawal that cannot be carried out is told, whatever else is the matter.
func TestAWithdrawalThatFailsIsTold(t *testing.T) {
	told := &diary{}
	r := newRig(t)
	r.Recorder = told
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	remount := func(flags uintptr) { require.NoError(t, unix.Mount("", v.TargetPath, "", unix.MS_REMOUNT|flags, "")) }
	remount(unix.MS_RDONLY)
	t.Cleanup(func() { remount(0) })

	r.fake.Deny("etl", connectionName("warehouse"))
	r.look(t)
	r.look(t)
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
	assert.Equal(t, "[connection/warehouse]", r.logged(t, "entries were taken away and still stand in the files", "entries"))
	assert.Contains(t, r.log.String(), `"level":"WARN","msg":"entries were taken away`)
	lines := told.read()
	require.Len(t, lines, 2)
	assert.Contains(t, lines[0], "a EntryNotWithdrawn: taken away, and still in the files: filling the volume: ")
	assert.Contains(t, lines[1], "a VolumeFailed: ")
	assert.NotEmpty(t, must(r.Health(v.ID)).Problem)

	remount(0)
	r.look(t)
	assert.NoFileExists(t, filepath.Join(v.TargetPath, "connections/warehouse"))
}
