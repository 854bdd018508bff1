package envshim

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

// outcome is what Rotated.Wait returned.
type outcome struct {
	generation uint64
	err        error
}

// waitForRotation runs r in the background.
func waitForRotation(t *testing.T, r Rotated) (<-chan outcome, <-chan string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended, told := make(chan outcome, 1), make(chan string, 16)
	r.Tell = func(line string) { told <- line }
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		generation, err := r.Wait(ctx)
		ended <- outcome{generation, err}
	}()
	t.Cleanup(func() {
		stop()
		testwait.Closed(t, gone)
		goleak.VerifyNone(t)
	})
	return ended, told
}

// envFile is what an init container would have written from the volume.
func envFile(t *testing.T, volume string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "env")
	snapshot, err := Read(volume)
	require.NoError(t, err)
	var text bytes.Buffer
	require.NoError(t, Kubelet.Write(&text, WithoutEmpty(snapshot.Entries)))
	require.NoError(t, os.WriteFile(path, text.Bytes(), 0o600))
	return path
}

func TestRotatedTellsOfOtherValues(t *testing.T) {
	volume := newVolume(t)
	deliver(t, volume, map[string]string{"a": "1", "b": "2"})
	file := envFile(t, volume)
	for _, r := range []Rotated{{Dir: volume, EnvFile: file}, {Dir: volume}} {
		deliver(t, volume, map[string]string{"a": "1", "b": "2"})
		ended, _ := waitForRotation(t, r)
		if r.EnvFile == "" {
			awaitWatch(t, volume, ended)
			continue
		}
		deliver(t, volume, map[string]string{"a": "1"}) // withdrawn
		assert.NoError(t, testwait.Receive(t, ended).err)
	}
}

// awaitWatch changes a volume until the change is seen: whoever compares with the volume at the start
// cannot tell when that was.
func awaitWatch(t *testing.T, volume string, ended <-chan outcome) {
	t.Helper()
	for number := range 1000 {
		deliver(t, volume, numbered(number))
		select {
		case got := <-ended:
			require.NoError(t, got.err)
			assert.NotZero(t, got.generation)
			return
		default:
		}
	}
	require.NoError(t, testwait.Receive(t, ended).err)
}

// A sidecar that is killed and starts again, or that starts late, has missed nothing.
func TestRotatedComparesWithWhatWasHandedOut(t *testing.T) {
	volume := newVolume(t)
	deliver(t, volume, map[string]string{"a": "1", "empty": ""})
	file := envFile(t, volume)
	deliver(t, volume, map[string]string{"a": "2", "empty": ""})
	ended, _ := waitForRotation(t, Rotated{Dir: volume, EnvFile: file, OmitEmpty: true})
	assert.Equal(t, outcome{2, nil}, testwait.Receive(t, ended))
}

// The init container that wrote the file may have the volume elsewhere than the sidecar, and a restart would not
// change that.
func TestRotatedRestartsNothingForWhereTheVolumeIs(t *testing.T) {
	volume := keyless(t, jwt(`{}`))
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	require.NoError(t, os.Symlink(volume, elsewhere))
	file := envFile(t, elsewhere)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), elsewhere)
	for name, row := range map[string]struct {
		from, to string
		differs  bool
	}{
		"as it was written":    {"region", "region", false},
		"another role":         {"role/a", "role/identity/aws.token", true},
		"another file":         {"gcp.json", "gcp.token", true},
		"another cloud's only": {"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIAL", true},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(file, bytes.ReplaceAll(text, []byte(row.from), []byte(row.to)), 0o600))
			snapshot, err := Read(volume)
			require.NoError(t, err)
			differs, err := Rotated{Dir: volume, EnvFile: file}.fromFile(snapshot)
			require.NoError(t, err)
			assert.Equal(t, row.differs, differs)
		})
	}
}

// A restart for what no file can carry would only stop a program that runs.
func TestRotatedRestartsNothingForWhatCannotBeWritten(t *testing.T) {
	volume := newVolume(t)
	deliver(t, volume, map[string]string{"a": "1"})
	file := envFile(t, volume)
	ended, told := waitForRotation(t, Rotated{Dir: volume, EnvFile: file})
	deliver(t, volume, map[string]string{"a": "needle'"})
	assert.Equal(t, `keeping the program as it is: generation 2: variable "a": the value holds a single quote, which ends it in kubelet's file; use 'agent exec'`,
		testwait.Receive(t, told))
	deliver(t, volume, map[string]string{"a": "1"})
	deliver(t, volume, map[string]string{"a": "3"})
	assert.Equal(t, outcome{4, nil}, testwait.Receive(t, ended))
	assert.Empty(t, told, "told once")
}

func TestRotatedWaitsForNoPipe(t *testing.T) {
	volume, pipe := newVolume(t), filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	deliver(t, volume, numbered(1))
	_, told := waitForRotation(t, Rotated{Dir: volume, EnvFile: pipe})
	assert.Contains(t, testwait.Receive(t, told), "pipe: is no regular file")
}

func TestRotatedSaysWhatIsNotThere(t *testing.T) {
	volume := newVolume(t)
	_, err := Rotated{Dir: volume}.Wait(context.Background())
	require.ErrorIs(t, err, ErrNotDelivered)
	deliver(t, volume, numbered(1))
	_, told := waitForRotation(t, Rotated{Dir: volume, EnvFile: filepath.Join(volume, "absent")})
	assert.Contains(t, testwait.Receive(t, told), "absent: no such file or directory: is it what 'agent env --format kubelet --output' wrote?")
	goleak.VerifyNone(t, goleak.IgnoreCurrent())
}
