package docs

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// Built programs were committed twice, by "go build" in a folder of its own and a commit of all there is.
func TestNoBuiltProgramIsCommitted(t *testing.T) {
	listed, err := testwait.Command(t, "git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		testneed.Missing(t, "this is no checkout of git")
	}
	files := bytes.Split(bytes.TrimSuffix(listed, []byte{0}), []byte{0})
	require.NotEmpty(t, files)
	for _, name := range files {
		file, err := os.Open(filepath.Join(root, string(name)))
		if err != nil {
			continue // it is deleted, and not committed so yet
		}
		start := make([]byte, 4)
		_, err = io.ReadFull(file, start)
		assert.False(t, err == nil && string(start) == "\x7fELF", "%s is a built program", name)
		assert.NoError(t, file.Close())
	}
}
