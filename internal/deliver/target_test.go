package deliver

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount"
)

func TestATargetHasOneVolume(t *testing.T) {
	r := newRig(t)
	v, other := r.volume(t, "a"), r.volume(t, "b")
	require.NoError(t, r.Publish(t.Context(), v))
	other.TargetPath, other.Connections = v.TargetPath, named("absent")

	err := r.Publish(t.Context(), other)
	assert.Equal(t, report.Conflict, reasonOf(t, err))
	assert.EqualError(t, err, "another volume, csi-a, is published at the target path")
	assert.False(t, r.IsPublished(other.ID, v.TargetPath), "what is there is not this volume")
	assert.True(t, r.IsPublished(v.ID, v.TargetPath))
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
	_, known := r.Health(other.ID)
	assert.False(t, known)
}

func TestUnpublishTakesAwayWhicheverVolumeIsThere(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	require.NoError(t, r.Unpublish(t.Context(), "csi-another", v.TargetPath))
	_, known := r.Health(v.ID)
	assert.False(t, known)
	r.fake.SetConnection(warehouse("second"))
	r.look(t)
	assert.NoDirExists(t, v.TargetPath)
	assert.Contains(t, r.log.String(), "unpublished under another id")

	other := r.volume(t, "b")
	other.TargetPath = v.TargetPath
	require.NoError(t, r.Publish(t.Context(), other), "the path is free")
}

func TestARotationMountsNothing(t *testing.T) {
	for name, left := range map[string]func(t *testing.T, target string){
		"the directory gone":  func(*testing.T, string) {},
		"the directory there": func(t *testing.T, target string) { require.NoError(t, os.Mkdir(target, 0o750)) },
		"a copy of the files on the disk": func(t *testing.T, target string) {
			require.NoError(t, os.Mkdir(target, 0o750))
			require.NoError(t, os.Symlink("..old", filepath.Join(target, "..data")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			v := r.volume(t, "a")
			require.NoError(t, r.Publish(t.Context(), v))
			require.NoError(t, mount.Unmount(v.TargetPath))
			left(t, v.TargetPath)
			r.fake.SetConnection(warehouse("second"))
			r.look(t)
			mounted, err := mount.IsMounted(v.TargetPath)
			require.NoError(t, err)
			assert.False(t, mounted)
			health := must(r.Health(v.ID))
			assert.Zero(t, health.Generation, "it shows nothing")
			assert.Contains(t, health.Problem, "no volume is mounted there")

			assert.Contains(t, r.log.String(), `"level":"WARN","msg":"the volume's mount is gone"`)

			calls := len(r.fake.Calls())
			r.look(t)
			assert.Len(t, r.fake.Calls(), calls, "it waits for its publish")
			require.NoError(t, os.RemoveAll(v.TargetPath))
			require.NoError(t, r.Publish(t.Context(), v))
			assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))
			assert.Empty(t, must(r.Health(v.ID)).Problem)
		})
	}
}

func TestManyUnpublishesOfOneVolumeAtOnce(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	for range 20 {
		require.NoError(t, r.Publish(t.Context(), v))
		var group sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			group.Go(func() { errs[i] = r.Unpublish(t.Context(), v.ID, v.TargetPath) })
		}
		group.Wait()
		require.NoError(t, errors.Join(errs...))
		assert.NoDirExists(t, v.TargetPath)
	}
	assert.Empty(t, r.targets.held, "no lock is left behind")
}

// Whoever comes first, what the set knows is what is mounted.
func TestPublishAndUnpublishAtOnce(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	for range 50 {
		var group sync.WaitGroup
		var published, unpublished error
		group.Go(func() { published = r.Publish(t.Context(), v) })
		group.Go(func() { unpublished = r.Unpublish(t.Context(), v.ID, v.TargetPath) })
		group.Wait()
		require.NoError(t, unpublished)
		if published != nil {
			require.Equal(t, report.Busy, reasonOf(t, published))
		}
		_, known := r.Health(v.ID)
		require.Equal(t, known, r.IsPublished(v.ID, v.TargetPath))
		require.NoError(t, r.Unpublish(t.Context(), v.ID, v.TargetPath))
	}
}

// It begins when a publish has let go of the path, and not while it writes there.
func TestUnpublishWaitsForWhatIsBeingWritten(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	unlock := r.targets.lock(v.TargetPath)
	unpublished := make(chan error)
	go func() { unpublished <- r.Unpublish(t.Context(), v.ID, v.TargetPath) }()
	require.Eventually(t, func() bool { return r.targets.waiting(v.TargetPath) == 2 }, testwait.Limit, time.Millisecond)
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
	unlock()
	require.NoError(t, testwait.Receive(t, unpublished))
	assert.NoDirExists(t, v.TargetPath)
}

// The other way round: nothing is written to a path from which a volume is being taken.
func TestADeliveryWaitsForThePath(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	r.fake.SetConnection(warehouse("second"))
	unlock := r.targets.lock(v.TargetPath)
	delivered := make(chan error)
	begun := r.set.begin(r.set.find(v.ID))
	go func() { delivered <- r.deliverNew(t.Context(), begun) }()
	require.Eventually(t, func() bool { return r.targets.waiting(v.TargetPath) == 2 }, testwait.Limit, time.Millisecond)
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
	unlock()
	require.NoError(t, testwait.Receive(t, delivered))
	assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))
}

func (t *targets) waiting(path string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held[path] == nil {
		return 0
	}
	return t.held[path].users
}

// A target that is not ours is refused, and holds nobody up.
func TestATargetThatIsNotOurs(t *testing.T) {
	for name, put := range map[string]func(target string) error{
		"files":  func(target string) error { return os.MkdirAll(filepath.Join(target, "theirs"), 0o750) },
		"a file": func(target string) error { return os.WriteFile(target, nil, 0o600) },
		"a link": func(target string) error { return os.Symlink("nowhere", target) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			v := r.volume(t, "a")
			require.NoError(t, put(v.TargetPath))
			assert.Equal(t, report.BadTarget, reasonOf(t, r.Publish(t.Context(), v)))
			require.NoError(t, r.Unpublish(t.Context(), v.ID, v.TargetPath), "an error would keep the pod for ever")
			_, err := os.Lstat(v.TargetPath)
			require.NoError(t, err, "it is left as it is")
			assert.Contains(t, r.log.String(), "left what is at the target path")
			require.NoError(t, os.RemoveAll(v.TargetPath))
		})
	}
}

// An unpublish and a publish may come between the beginning of a publish and its delivery.
func TestADeliveryOfAVolumeThatIsGoneLeavesTheNewOneAlone(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	gone, err := r.adopt(v)
	require.NoError(t, err)
	require.NoError(t, r.Unpublish(t.Context(), v.ID, v.TargetPath))
	require.NoError(t, r.Publish(t.Context(), v))
	assert.Equal(t, report.Busy, reasonOf(t, r.deliverNew(t.Context(), r.set.begin(gone))))
	r.fake.SetConnection(warehouse("second"))
	r.look(t)
	assert.Equal(t, secondURI, read(t, v, "connections/warehouse"), "it goes on to rotate")
}

// A late answer to an older question does not undo a newer one.
func TestAnOlderAnswerThatComesLateIsDropped(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	live := r.set.find(v.ID)
	ask := func(password string) (task, answer) {
		r.fake.SetConnection(warehouse(password))
		begun := r.set.begin(live)[0]
		var given answer
		r.caller.ask(t.Context(), []task{begun}, func([]error) {}, func(_ int, from answer) { given = from })
		return begun, given
	}
	older, late := ask("older")
	r.fake.Break(variableName("region"), "its seal is broken")
	newer, prompt := ask("second")
	require.NoError(t, r.fill(t.Context(), []task{newer}, []answer{prompt}))
	require.NoError(t, r.fill(t.Context(), []task{older}, []answer{late}))
	assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))
	health := must(r.Health(v.ID))
	assert.Equal(t, uint64(2), health.Generation)
	assert.Equal(t, 1, health.Held, "nor what is known of it")
	assert.Contains(t, health.Problem, "its seal is broken")
}
