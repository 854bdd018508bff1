// Package memory holds the real driver to the memory limit of the chart, in a control group of the
// kernel's, while one namespace wants more than there is.
package memory

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/test/stack"
)

func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }

var build = sync.OnceValues(func() (string, error) {
	return stack.Build(filepath.Join("..", ".."), "memory")
})

func binaries(t *testing.T) string {
	t.Helper()
	bin, err := build()
	require.NoError(t, err)
	return bin
}
