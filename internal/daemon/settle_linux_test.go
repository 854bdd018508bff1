package daemon

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A program that is built position-independent is relocated at its start, in pages of its own file that are made
// read-only then. The kernel has those nowhere else, and what reads them anew crashes.
func TestSettleKeepsWhatIsNoLongerTheFiles(t *testing.T) {
	self, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer func() { require.NoError(t, self.Close()) }()
	relocated, err := unix.Mmap(int(self.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(relocated)) }()
	clean, err := unix.Mmap(int(self.Fd()), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_PRIVATE)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(clean)) }()
	require.Equal(t, "\x7fELF", string(clean[:4]))
	copy(relocated, "mine")
	require.NoError(t, unix.Mprotect(relocated, unix.PROT_READ))

	Settle()

	assert.Equal(t, "mine", string(relocated[:4]))
	assert.Equal(t, "\x7fELF", string(clean[:4]), "which the file has")
}
