package deliver

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPodIsToldOfASubPathThatARotationDoesNotReach(t *testing.T) {
	r, told := keptDiary(t)
	v := r.volume(t, "a")
	pod := filepath.Join(t.TempDir(), "pod")
	v.TargetPath = filepath.Join(pod, "volumes", "kubernetes.io~csi", "leoflow", "mount")
	require.NoError(t, os.MkdirAll(filepath.Dir(v.TargetPath), 0o755))
	require.NoError(t, r.Publish(t.Context(), v))
	t.Cleanup(func() { _ = r.Unpublish(t.Context(), v.ID, v.TargetPath) })
	r.fake.SetConnection(warehouse("second"))
	r.look(t)
	assert.Empty(t, told.read(), "the volume is mounted whole")

	require.NoError(t, os.MkdirAll(filepath.Join(pod, "volume-subpaths", "leoflow", "task", "0"), 0o755))
	r.look(t)
	assert.Empty(t, told.read(), "nothing changed")
	for _, password := range []string{"third", "fourth"} {
		r.fake.SetConnection(warehouse(password))
		r.look(t)
		assert.Equal(t, []string{`a SubPathNotRotated: mounted by subPath in container "task", where this rotation did not arrive: ` +
			"a directory is empty there now, a file has its old value; mount the volume whole"}, told.read())
	}
	assert.Contains(t, r.log.String(), `"msg":"a rotation did not reach a subPath"`)
}

func TestOnlyKubeletsPathsHaveSubPaths(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "volume-subpaths", "leoflow", "task"), 0o755))
	assert.Equal(t, []string{"task"}, subPathContainers(dir+"/volumes/kubernetes.io~csi/leoflow/mount"))
	assert.Nil(t, subPathContainers(dir+"/volumes/kubernetes.io~csi/other/mount"))
	assert.Nil(t, subPathContainers(dir+"/leoflow/mount"))
	assert.Nil(t, subPathContainers(dir+"/volumes/kubernetes.io~csi/leoflow"))
}
