package mount

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

// An unprivileged user runs the driver in a user and mount namespace, where the kernel
// refuses "noswap" and knows few groups.
func TestVolumesWorkInAUserNamespace(t *testing.T) {
	again := testwait.Command(t, "/proc/self/exe", "-test.run=^(TestMount|TestUnmount|TestWriteShows|TestWriteRepairs)", "-test.v")
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: syscall.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: syscall.Getgid(), Size: 1}},
	}
	output, err := again.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Contains(t, string(output), "--- PASS: TestMountKeepsOutOfSwapWhereTheKernelCan")
}
