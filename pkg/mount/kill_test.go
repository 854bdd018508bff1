package mount

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// writerTarget is set in the environment of a child that only writes; see TestMain.
const writerTarget = "LEOFLOW_TEST_WRITER_TARGET"

// writeUntilKilled writes one generation after another and a line for each.
func writeUntilKilled(target string) (exitCode int) {
	for i := 0; ; i++ {
		if _, err := Write(target, uniform(i)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println(i)
	}
}

// uniform is a content whose values are all the same, so that a mixture of two shows.
func uniform(number int) Content {
	content := newContent()
	for i := range content.Files {
		content.Files[i].Data = []byte(strconv.Itoa(number))
	}
	content.Manifest.Entries[0].Version = strconv.Itoa(number)
	return content
}

func TestKilledWriterLeavesAWholeGenerationThatTheNextWriteReplaces(t *testing.T) {
	target := newVolume(t, megabyte)
	leftovers := 0
	for round := range 50 {
		killWriter(t, target, 1+rand.IntN(5))
		require.NotEmpty(t, snapshot(t, target))
		leftovers += len(strayNames(t, target))

		content := uniform(1_000_000 + round)
		outcome, err := Write(target, content)
		require.NoError(t, err)
		assert.True(t, outcome.Changed)
		assertShows(t, target, content)
	}
	assert.NotZero(t, leftovers, "no kill hit a writer at work: the test tested nothing")
}

// killWriter starts a writer and kills it at some instant after it wrote a number of
// generations.
func killWriter(t *testing.T, target string, generations int) {
	t.Helper()
	writer := exec.Command("/proc/self/exe")
	writer.Env = append(os.Environ(), writerTarget+"="+target)
	writer.Stderr = os.Stderr
	output, err := writer.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, writer.Start())
	lines := bufio.NewScanner(output)
	for range generations {
		require.True(t, lines.Scan(), "the writer ended by itself")
	}
	require.NoError(t, writer.Process.Kill())
	_ = writer.Wait() // it says that the writer was killed
}

// strayNames are the hidden names at a volume's root that no whole write leaves.
func strayNames(t *testing.T, target string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(target, "..?*"))
	require.NoError(t, err)
	keep := []string{layout.DataLink, shown(t, target)}
	var stray []string
	for _, name := range names {
		if base := filepath.Base(name); base != keep[0] && base != keep[1] {
			stray = append(stray, base)
		}
	}
	return stray
}

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
	for _, file := range newContent().Files {
		data, err := root.ReadFile(file.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return ""
		}
		require.NoError(t, err)
		if version == "" {
			version = string(data)
		}
		require.Equal(t, version, string(data), "a torn generation")
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
	wanted := 100_000
	if testing.Short() {
		wanted = 5_000
	}
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
	t.Logf("%d whole snapshots of %d generations out of %d, %d begun again", wanted, len(versions), <-written, gone)
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
