package mount

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// An unprivileged user runs the driver in a user and mount namespace, where the kernel
// refuses "noswap" and knows few groups.
func TestVolumesWorkInAUserNamespace(t *testing.T) {
	again := testwait.Command(t, "/proc/self/exe", "-test.run=^(TestMount|TestUnmount|TestWriteShows|TestWriteRepairs)", "-test.v")
	again.SysProcAttr = testneed.UserNamespace(t)
	output, err := again.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Contains(t, string(output), "--- PASS: TestMountKeepsOutOfSwapWhereTheKernelCan")
}
