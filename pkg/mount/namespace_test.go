package mount

import (
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// An unprivileged user runs the driver in a user and mount namespace, where the kernel
// refuses "noswap" and knows few groups.
func TestVolumesWorkInAUserNamespace(t *testing.T) {
	again := exec.Command("/proc/self/exe", "-test.run=^(TestMount|TestUnmount|TestWriteShows|TestWriteRepairs)", "-test.v")
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: syscall.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: syscall.Getgid(), Size: 1}},
	}
	output, err := again.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Contains(t, string(output), "--- PASS: TestMountKeepsOutOfSwapWhereTheKernelCan")
}
