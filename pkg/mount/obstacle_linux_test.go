package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
)

// asOrdinaryUser runs do without root's right to pass over modes, on files alone. The thread ends with it.
func asOrdinaryUser(t *testing.T, do func() error) (err error) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err = unix.Setfsgid(1000); err == nil {
			err = unix.Setfsuid(1000)
		}
		if err == nil {
			err = do()
		}
	}()
	<-done
	return err
}

// Another container of the pod that may write in the directory, under another user, keeps neither a rotation nor a
// withdrawal from coming, whatever it leaves there.
func TestAFolderIsTakenBackFromAnotherUser(t *testing.T) {
	const leftover = "..2026_01_01_00_00_00.theirs"
	for name, obstacle := range map[string]func(t *testing.T, path string){
		"a generation":     func(t *testing.T, path string) { theirs(t, path, leftover) },
		"a temporary link": func(t *testing.T, path string) { theirs(t, path, layout.DataLinkTemp) },
		"the data link":    func(t *testing.T, path string) { replaced(t, path, layout.DataLink) },
		"a link of values": func(t *testing.T, path string) { replaced(t, path, layout.ConnectionsDir) },
		"identities":       func(t *testing.T, path string) { theirs(t, path, layout.IdentityDir) },
		"what is shown": func(t *testing.T, path string) {
			theirs(t, path, leftover)
			relinked(t, path, layout.DataLink, leftover)
		},
		"the root":          func(t *testing.T, path string) { relinked(t, path, layout.DataLink, ".") },
		"a place elsewhere": func(t *testing.T, path string) { relinked(t, path, layout.DataLink, "../elsewhere") },
		"a link to a link": func(t *testing.T, path string) {
			relinked(t, path, leftover, ".")
			relinked(t, path, layout.DataLink, leftover)
		},
		"a copy": func(t *testing.T, path string) {
			copied(t, path, leftover)
			relinked(t, path, layout.DataLink, leftover)
		},
		"a link of their own": func(t *testing.T, path string) { relinked(t, path, layout.ConnectionsDir, leftover) },
	} {
		t.Run(name, func(t *testing.T) {
			path := mounttest.Tmpfs(t, "")
			require.NoError(t, os.Chmod(path, 0o777), "as an emptyDir is")
			folder := openedFolder(t, path)
			write := func(number int) error {
				return asOrdinaryUser(t, func() error {
					content := uniform(number)
					content.Mode, content.GID, content.Cap = 0o444, 1000, megabyte
					_, err := folder.Write(content)
					return err
				})
			}
			if err := write(1); err != nil {
				testneed.Missing(t, fmt.Sprintf("this user may not write as another (%v)", err))
			}
			obstacle(t, path)
			require.NoError(t, write(1), "which is there already")
			assert.Equal(t, "1", snapshot(t, path))
			obstacle(t, path)
			require.NoError(t, write(2))
			assert.Equal(t, "2", snapshot(t, path))
			assert.FileExists(t, filepath.Join(path, layout.ConnectionsDir, "warehouse"))
			require.NoError(t, write(2))
			require.NoError(t, write(3))
			assert.Equal(t, "3", snapshot(t, path))
			folder.Close()
			openedFolder(t, path)
		})
	}
}

// theirs is a directory into which nobody else may look.
func theirs(t *testing.T, path, name string) {
	t.Helper()
	dir := filepath.Join(path, name)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "inner"), 0o700))
	require.NoError(t, os.Lchown(dir, 2000, 2000))
}

// copied is what the folder shows, as another user's.
func copied(t *testing.T, path, name string) {
	t.Helper()
	dir := filepath.Join(path, name)
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(path, layout.DataLink))))
	require.NoError(t, filepath.WalkDir(dir, func(path string, one fs.DirEntry, err error) error {
		mode := fs.FileMode(0o444)
		if one.IsDir() {
			mode = 0o755
		}
		return errors.Join(err, os.Lchown(path, 2000, 1000), os.Chmod(path, mode))
	}))
}

func replaced(t *testing.T, path, name string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(filepath.Join(path, name)))
	theirs(t, path, name)
}

func relinked(t *testing.T, path, name, to string) {
	t.Helper()
	link := filepath.Join(path, name)
	require.NoError(t, os.RemoveAll(link))
	require.NoError(t, os.Symlink(to, link))
	require.NoError(t, os.Lchown(link, 2000, 2000))
}
