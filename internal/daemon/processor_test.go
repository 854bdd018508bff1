package daemon

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOneProcessorIsUsedUnlessTheOperatorSaysOtherwise(t *testing.T) {
	t.Cleanup(func() { runtime.GOMAXPROCS(runtime.NumCPU()) })
	runtime.GOMAXPROCS(3)
	t.Setenv("GOMAXPROCS", "3")
	useOneProcessor()
	assert.Equal(t, 3, runtime.GOMAXPROCS(0))
	require.NoError(t, os.Unsetenv("GOMAXPROCS"))
	useOneProcessor()
	assert.Equal(t, 1, runtime.GOMAXPROCS(0))
}
