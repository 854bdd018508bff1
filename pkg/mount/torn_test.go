package mount

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testlong"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// digits are the value of a uniform content.
var digits = regexp.MustCompile(`\d+`)

// snapshot reads a generation as the agent does, beneath one handle, and makes sure
// that it is of one piece. It is empty if the generation went away meanwhile.
func snapshot(t *testing.T, target string) string {
	t.Helper()
	root, err := os.OpenRoot(filepath.Join(target, layout.DataLink))
	if errors.Is(err, fs.ErrNotExist) {
		return "" // between reading the link and following it
	}
	require.NoError(t, err)
	defer root.Close()
	version := ""
	for _, path := range []string{"connections/warehouse", "variables/region", layout.ConnectionsJSON, layout.VariablesJSON} {
		data, err := root.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return ""
		}
		require.NoError(t, err)
		if version == "" {
			version = digits.FindString(string(data))
		}
		require.Equal(t, version, digits.FindString(string(data)), "a torn generation")
	}
	manifest, err := root.ReadFile(layout.ManifestFile)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	require.NoError(t, err)
	require.True(t, strings.Contains(string(manifest), `"version": "`+version+`"`), "a torn manifest")
	return version
}

func TestReaderNeverSeesATornGeneration(t *testing.T) {
	wanted := testlong.Count(10_000, 100_000)
	target := newVolume(t, megabyte)
	_, err := Write(target, uniform(0))
	require.NoError(t, err)
	stop, written := make(chan struct{}), make(chan int)
	go func() { written <- writeUntil(t, stop, target) }()
	versions, gone := map[string]bool{}, 0
	for whole := 0; whole < wanted; {
		if version := snapshot(t, target); version != "" {
			versions[version] = true
			whole++
		} else {
			gone++
		}
	}
	close(stop)
	t.Logf("%d whole snapshots of %d generations out of %d, %d begun again", wanted, len(versions), testwait.Receive(t, written), gone)
	assert.Greater(t, len(versions), wanted/1000)
}

func writeUntil(t *testing.T, stop <-chan struct{}, target string) (number int) {
	for {
		select {
		case <-stop:
			return number
		default:
			number++
			if _, err := Write(target, uniform(number)); !assert.NoError(t, err) {
				return number
			}
		}
	}
}
