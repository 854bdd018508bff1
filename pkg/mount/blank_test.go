package mount

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// publish makes a volume as the driver does.
func publish(target string, number int) error {
	blank, err := new(Mounter).Blank(Options{SizeBytes: megabyte})
	if err != nil {
		return err
	}
	defer blank.Close()
	if _, err := blank.Fill(uniform(number)); err != nil {
		return err
	}
	created, err := blank.Mount(target)
	if err == nil && !created {
		_, err = Write(target, uniform(number))
	}
	return err
}

// With its descriptors the kernel ends it.
func TestABlankThatIsClosedLeavesNothing(t *testing.T) {
	before := descriptors(t)
	blank, err := new(Mounter).Blank(Options{SizeBytes: megabyte})
	require.NoError(t, err)
	_, err = blank.Fill(newContent())
	require.NoError(t, err)
	assert.Greater(t, descriptors(t), before)
	blank.Close()
	blank.Close()
	assert.Equal(t, before, descriptors(t))
}

func TestABlankIsMountedWhole(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, target string){
		"no directory": func(*testing.T, string) {},
		"a directory":  func(t *testing.T, target string) { require.NoError(t, os.Mkdir(target, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "mount")
			prepare(t, target)
			blank, err := new(Mounter).Blank(Options{SizeBytes: megabyte})
			require.NoError(t, err)
			defer blank.Close()
			outcome, err := blank.Fill(newContent())
			require.NoError(t, err)
			assertOutcome(t, Outcome{Generation: 1, Changed: true}, outcome)
			assert.Len(t, outcome.Entries, 2)
			created, err := blank.Mount(target)
			require.NoError(t, err)
			assert.True(t, created)
			blank.Close()

			assertShows(t, target, newContent())
			assertAccess(t, target, newContent())
			assert.Empty(t, strayNames(t, target))
			require.NoError(t, Unmount(target))
		})
	}
}

func TestABlankLeavesAVolumeThatIsThere(t *testing.T) {
	target := newVolume(t, megabyte)
	_, err := Write(target, uniform(1))
	require.NoError(t, err)
	blank, err := new(Mounter).Blank(Options{SizeBytes: megabyte})
	require.NoError(t, err)
	defer blank.Close()
	_, err = blank.Fill(uniform(2))
	require.NoError(t, err)
	created, err := blank.Mount(target)
	require.NoError(t, err)
	assert.False(t, created)
	assert.Equal(t, "1", snapshot(t, target))
	assert.Len(t, mountsAt(t, target), 1)
}

func TestABlankIsFilledWholeOrNotAtAll(t *testing.T) {
	for name, content := range map[string]Content{
		"beyond the cap":   capped(64<<10, sized("big", 60<<10)),
		"beyond the tmpfs": {Entries: []Entry{sized("big", 300<<10)}, Manifest: layout.Manifest{Fetched: fetched}, Mode: 0o440},
	} {
		t.Run(name, func(t *testing.T) {
			blank, err := new(Mounter).Blank(Options{SizeBytes: 64 << 10})
			require.NoError(t, err)
			defer blank.Close()
			_, err = blank.Fill(content)
			require.ErrorIs(t, err, ErrFull)
		})
	}
}
