package deliver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// small is a driver's memory that holds about six volumes of a megabyte.
const small = 64 * megabyte

// largeVolume asks for one variable that makes a volume of nearly a megabyte.
func (r *rig) largeVolume(t *testing.T, pod string) Volume {
	t.Helper()
	r.fake.SetVariable("large", strings.Repeat("x", 400<<10))
	v := r.volume(t, pod)
	v.Connections, v.Variables = Wanted{}, named("large")
	return v
}

// crowd publishes large volumes of the namespace until one is refused.
func (r *rig) crowd(t *testing.T, namespace string) (volumes []Volume, refusal error) {
	t.Helper()
	told := &diary{}
	r.Recorder = told
	for len(volumes) < 32 {
		v := r.largeVolume(t, fmt.Sprint(namespace, len(volumes)))
		v.Pod.Namespace = namespace
		if refusal = r.Publish(t.Context(), v); refusal != nil {
			require.NoDirExists(t, v.TargetPath)
			assert.Contains(t, told.read(), v.Pod.PodName+" VolumeFailed: "+refusal.Error())
			return volumes, refusal
		}
		volumes = append(volumes, v)
	}
	require.Fail(t, "nothing is refused")
	return nil, nil
}

func TestANewVolumeBeyondTheBudgetIsRefusedWithItsOwnFigures(t *testing.T) {
	r := newRigWithin(t, small)
	bank := r.volume(t, "bank")
	bank.Pod.Namespace = "bank"
	require.NoError(t, r.Publish(t.Context(), bank))
	volumes, err := r.crowd(t, "evil")
	assert.Equal(t, report.NoMemory, reasonOf(t, err))
	assert.Regexp(t, `^this node's driver has no memory left for a volume of \d+ KiB \(those of namespace evil take 4\.\d MiB on this node\): `, err.Error())
	assert.NotContains(t, err.Error(), "bank")
	assert.Contains(t, r.log.String(), `"held":["evil: 4.`, "the operator is told who has it")
	assert.Contains(t, r.log.String(), `"bank: `)

	for i := range 3 {
		honest := r.volume(t, fmt.Sprint("shop", i))
		honest.Pod.Namespace = "shop"
		require.NoError(t, r.Publish(t.Context(), honest), "a namespace that holds little has room")
	}
	require.NoError(t, r.Unpublish(t.Context(), volumes[0].ID, volumes[0].TargetPath))
	require.NoError(t, r.Publish(t.Context(), r.withNamespace(r.largeVolume(t, "next"), "evil")), "what ends makes room")
}

func (*rig) withNamespace(v Volume, namespace string) Volume {
	v.Pod.Namespace = namespace
	return v
}

// A live volume is rotated and loses what was taken away whatever memory there is, and holds what
// has grown beyond it.
func TestWhatLivesGoesOnWithoutMemory(t *testing.T) {
	r := newRigWithin(t, small)
	volumes, _ := r.crowd(t, "evil")
	r.fake.SetVariable("large", strings.Repeat("y", 400<<10))
	r.look(t)
	for _, v := range volumes {
		assert.True(t, strings.HasPrefix(read(t, v, "variables/large"), "y"))
	}
	r.fake.SetVariable("large", strings.Repeat("z", 490<<10))
	r.look(t)
	grown, held := 0, 0
	for _, v := range volumes {
		if strings.HasPrefix(read(t, v, "variables/large"), "z") {
			grown++
			continue
		}
		held++
		assert.Equal(t, "its 501760 bytes do not fit: the driver of this node has no memory left for a larger volume", entryOf(t, v, "large").Held.Why)
	}
	assert.Positive(t, held)
	state := r.Memory()
	assert.LessOrEqual(t, state.HeldVolumes, state.Volumes*3/4+64<<10, "%d of them have grown", grown)

	r.fake.Remove(variableName("large"))
	r.look(t)
	for _, v := range volumes {
		assert.NoFileExists(t, v.TargetPath+"/variables/large")
	}
	assert.Less(t, r.Memory().HeldVolumes, int64(megabyte))
}

func TestVolumesOfAnEarlierDriverAreReckonedWith(t *testing.T) {
	before := newRigWithin(t, small)
	volumes, _ := before.crowd(t, "evil")
	after := newRigWithin(t, small)
	after.dir = before.dir
	assert.Equal(t, before.Memory().HeldVolumes, after.Memory().HeldVolumes)
	err := after.Publish(t.Context(), after.withNamespace(after.largeVolume(t, "more"), "evil"))
	assert.Equal(t, report.NoMemory, reasonOf(t, err))
	require.NoError(t, after.Publish(t.Context(), after.withNamespace(after.volume(t, "honest"), "shop")))

	require.NoError(t, after.Publish(t.Context(), volumes[0]), "kubelet's republish of a live one")
	for _, v := range volumes {
		require.NoError(t, after.Unpublish(t.Context(), v.ID, v.TargetPath))
	}
	require.NoError(t, after.Publish(t.Context(), after.withNamespace(after.largeVolume(t, "more"), "evil")))
}

// What the kernel charges besides volumes counts until it does no more.
func TestWhatIsChargedBesideVolumesCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var charged atomic.Int64
		charged.Store(14 * megabyte)
		before := newRigWithin(t, small)
		before.Charged = func() (int64, bool) { return charged.Load(), true }
		r := before.restarted()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		v := r.largeVolume(t, "a")
		assert.Equal(t, report.NoMemory, reasonOf(t, r.Publish(t.Context(), v)))
		charged.Store(0)
		time.Sleep(measureEvery)
		synctest.Wait()
		require.NoError(t, r.Publish(t.Context(), v))
		stop()
		require.NoError(t, <-ended)
	})
}

// callSizes are the bounds that core was asked with.
func (r *rig) callSizes() (sizes []int64) {
	for _, call := range r.fake.Calls() {
		sizes = append(sizes, call.Request.MaxBytes)
	}
	return sizes
}

func TestMemoryIsReservedBeforeItIsFetched(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.Publish(t.Context(), r.volume(t, "ordinary")))
	assert.Equal(t, []int64{smallAnswer}, r.callSizes())
	require.NoError(t, r.Publish(t.Context(), r.largeVolume(t, "large")))
	assert.Equal(t, []int64{smallAnswer, smallAnswer, growth * smallAnswer}, r.callSizes())
	require.NoError(t, r.Publish(t.Context(), r.largeVolume(t, "another")))
	assert.Equal(t, []int64{growth * smallAnswer}, r.callSizes()[3:], "what another like it took is known")
	require.NoError(t, r.Unpublish(t.Context(), "csi-large", filepath.Join(r.dir, "large")))
	r.look(t)
	assert.ElementsMatch(t, []int64{smallAnswer, growth * smallAnswer}, r.callSizes()[4:])
	assert.Zero(t, r.Memory().HeldWork)
}

// What references bring takes memory too, which is reserved again once it is seen how much that is.
func TestMemoryIsReservedForWhatReferencesBring(t *testing.T) {
	for name, live := range map[string]bool{"new": false, "live": true} { // of which others may be in the turn
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.asks.Resolver = &vault{key: strings.Repeat("x", 30<<10)}
			v := r.volume(t, "a")
			v.Connections, v.Variables = Wanted{}, Wanted{}
			stored := func(extra string) {
				for i := range 4 {
					id := fmt.Sprint("gcs", i)
					r.fake.SetConnection(airflow.Connection{ID: id, Type: "google_cloud_platform", Extra: new(secret.New(extra))})
				}
			}
			for i := range 4 {
				v.Connections.Names = append(v.Connections.Names, WantedName{ID: fmt.Sprint("gcs", i)})
			}
			const reference = `{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`
			if live {
				stored(`{"project":"p"}`)
				require.NoError(t, r.Publish(t.Context(), v))
				stored(reference)
				r.look(t)
			} else {
				stored(reference)
				require.NoError(t, r.Publish(t.Context(), v))
			}
			assert.Greater(t, len(read(t, v, "connections/gcs3")), 30<<10)
			assert.GreaterOrEqual(t, r.callSizes()[len(r.callSizes())-1], int64(growth*smallAnswer))
			assert.Zero(t, r.Memory().HeldWork)
		})
	}
}

func TestATurnIsDividedAmongVolumes(t *testing.T) {
	for _, row := range []struct {
		name    string
		limit   int64
		isLast  bool
		each    int64
		volumes int
		atOnce  int
	}{
		{"one", 0, false, 10, 1, 1},
		{"all at once", 0, false, 10, 5, 5},
		{"not too many", 0, false, 10, 110, volumesOfTurn},
		{"as many as there is memory for", small, false, 61 << 10, 110, 11},
		{"the last size is for one", small, true, small, 4, 1},
		{"no more than was reserved", small, false, 1 << 40, 110, 11},
		{"no less than nothing", 0, false, -1 << 40, 5, 5},
	} {
		r := newRigWithin(t, row.limit)
		in, err := r.caller.reserve(t.Context(), Volume{}, smallAnswer, 1)
		require.NoError(t, err)
		if in.isLast = row.isLast; in.isLast {
			in.size = r.caller.sizes.largest
		}
		in.divide(row.each, row.volumes)
		assert.Equal(t, row.atOnce, cap(in.places), row.name)
		for range row.atOnce {
			in.take()
		}
		for range row.atOnce {
			in.give()
		}
		in.Leave()
		assert.Zero(t, r.Memory().HeldWork, row.name)
	}
}

// A source that answers again ends no outage for a call that was not made for want of memory.
func TestACallThatIsNotMadeSaysNothingOfItsSource(t *testing.T) {
	r := newRigWithin(t, small)
	_, err := r.crowd(t, "evil")
	require.Error(t, err)
	r.fake.Fail(provider.ErrUnavailable)
	v := r.volume(t, "shop")
	v.Pod.Namespace = "shop"
	assert.Equal(t, report.Unavailable, reasonOf(t, r.Publish(t.Context(), v)))
	require.NotEmpty(t, r.Unreachable())
	r.fake.Fail(nil)
	ctx, cancel := context.WithTimeout(t.Context(), r.asks.FetchTimeout) // no time to wait in for the source
	defer cancel()
	require.Error(t, r.Publish(ctx, r.withNamespace(r.largeVolume(t, "evil-more"), "evil")))
	assert.NotEmpty(t, r.Unreachable())
}

func holdOpen(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
}

// Files that a pod holds open though they are gone are not given memory twice.
func TestOldGenerationsThatAreHeldOpenCount(t *testing.T) {
	r := newRigWithin(t, small)
	volumes, _ := r.crowd(t, "evil")
	v := volumes[0]
	for _, letter := range []string{"b", "c", "d"} {
		holdOpen(t, v.TargetPath+"/variables/large")
		holdOpen(t, v.TargetPath+"/airflow/variables.json")
		r.fake.SetVariable("large", strings.Repeat(letter, 400<<10))
		r.look(t)
	}
	usage, err := mount.Stats(v.TargetPath)
	require.NoError(t, err)
	assert.LessOrEqual(t, usage.Bytes.Used, int64(2*megabyte), "one generation beside the one that is shown")
	assert.Contains(t, must(r.Health(v.ID)).Problem, "no memory left")
	assert.True(t, strings.HasPrefix(read(t, volumes[1], "variables/large"), "d"), "others go on")
}

// A volume of three sources cannot be asked for with more than all either, though a third of that
// three times is less.
func TestAllThatThereIsIsTheLastThatIsAskedWith(t *testing.T) {
	r := newRig(t)
	largest := r.caller.sizes.largest
	for sources := range 8 {
		for size, isLast := range map[int64]bool{largest - 1: false, largest: true} {
			in, err := r.caller.reserve(t.Context(), r.volume(t, "a"), size, 1+sources)
			require.NoError(t, err)
			assert.Equal(t, isLast, in.isLast, "%d of %d for %d sources", size, largest, 1+sources)
			assert.LessOrEqual(t, in.size*int64(1+sources), size)
			in.Leave()
		}
	}
}
