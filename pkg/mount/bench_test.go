package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// tenAndTen is the content of a volume of ten connections and ten variables: with the
// two files for Airflow and the manifest, 23 files.
func tenAndTen() Content {
	content := newContent()
	for i := 1; i < 10; i++ {
		content.Entries = append(content.Entries,
			newEntry(layout.Connection, fmt.Sprintf("warehouse_%d", i), "postgres://user:password@host:5432/schema"),
			newEntry(layout.Variable, fmt.Sprintf("region_%d", i), "north"))
	}
	return content
}

func BenchmarkPublishCycle(b *testing.B) {
	target := filepath.Join(b.TempDir(), "mount")
	content, mounter := tenAndTen(), new(Mounter)
	for b.Loop() {
		_, err := mounter.Mount(target, Options{SizeBytes: megabyte})
		require.NoError(b, err)
		_, err = Write(target, content)
		require.NoError(b, err)
		require.NoError(b, Unmount(target))
	}
}

// BenchmarkBareMountWrite is the floor of BenchmarkPublishCycle: the same number of
// files of the same sizes, and only what no driver can do without.
func BenchmarkBareMountWrite(b *testing.B) {
	target := filepath.Join(b.TempDir(), "mount")
	files := append(newPlan(tenAndTen(), &standing{}).files(), File{Data: make([]byte, 4096)})
	for b.Loop() {
		require.NoError(b, os.Mkdir(target, 0o750))
		require.NoError(b, unix.Mount("floor", target, "tmpfs", 0, "size=1m"))
		for i, file := range files {
			require.NoError(b, os.WriteFile(fmt.Sprint(target, "/", i), file.Data, 0o440))
		}
		require.NoError(b, unix.Unmount(target, 0))
		require.NoError(b, unix.Rmdir(target))
	}
}

func BenchmarkWriteChanged(b *testing.B) {
	target := newVolume(b, megabyte)
	contents := []Content{tenAndTen(), tenAndTen()}
	contents[1].Entries[0].Value = []byte("{}")
	for i := 0; b.Loop(); i++ {
		_, err := Write(target, contents[i%2])
		require.NoError(b, err)
	}
}

func BenchmarkWriteUnchanged(b *testing.B) {
	target, content := newVolume(b, megabyte), tenAndTen()
	for i := 0; b.Loop(); i++ {
		content.Manifest.Fetched = fetched.Add(time.Duration(i))
		_, err := Write(target, content)
		require.NoError(b, err)
	}
}

// BenchmarkMountUnmount is what of a cycle is not writing.
func BenchmarkMountUnmount(b *testing.B) {
	target, mounter := filepath.Join(b.TempDir(), "mount"), new(Mounter)
	for b.Loop() {
		_, err := mounter.Mount(target, Options{SizeBytes: megabyte})
		require.NoError(b, err)
		require.NoError(b, Unmount(target))
	}
}

// BenchmarkIsMountedAmongMany is what a republish and an unpublish pay for a node full
// of pods: 110 volumes, and as many mounts again for each of two other volumes a pod.
func BenchmarkIsMountedAmongMany(b *testing.B) {
	const mounts = 330
	parent := newVolume(b, 2*megabyte)
	for i := range mounts {
		target := filepath.Join(parent, fmt.Sprint(i))
		_, err := new(Mounter).Mount(target, Options{SizeBytes: megabyte})
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, Unmount(target)) })
	}
	target := filepath.Join(parent, "7")
	for b.Loop() {
		mounted, err := IsMounted(target)
		require.NoError(b, err)
		require.True(b, mounted)
	}
}
