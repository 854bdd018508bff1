package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

// stripped marks the environment of the process that loses its capabilities.
const stripped = "LEOFLOW_TEST_STRIPPED"

// reachable is an address that the process tries to reach then.
const reachable = "LEOFLOW_TEST_REACHABLE"

func TestKeepsTheCapabilitiesItUsesAndNoNetwork(t *testing.T) {
	if os.Getenv(stripped) != "" {
		require.NoError(t, confine()) // returns in the process that began again
		status, err := os.ReadFile("/proc/self/status")
		require.NoError(t, err)
		fmt.Println(string(status))
		for _, address := range []string{os.Getenv(reachable), "127.0.0.1:53", "192.0.2.1:443", "[::1]:53"} {
			_, err := new(net.Dialer).DialContext(testwait.Context(t), "tcp", address)
			isUnreachable := errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EADDRNOTAVAIL)
			require.True(t, isUnreachable, "%s: %v", address, err)
		}
		found, err := net.Interfaces()
		require.NoError(t, err)
		for _, one := range found {
			addresses, err := one.Addrs()
			require.NoError(t, err)
			require.Empty(t, addresses, one.Name)
		}
		return
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, listener.Close()) }()
	again := testwait.Command(t, "/proc/self/exe", "-test.run=^TestKeepsTheCapabilitiesItUsesAndNoNetwork$")
	again.Env = append(os.Environ(), stripped+"=1", reachable+"="+listener.Addr().String())
	output, err := again.CombinedOutput()
	require.NoError(t, err, string(output))
	for _, set := range []string{"CapPrm", "CapEff", "CapBnd"} {
		assert.Regexp(t, regexp.MustCompile(set+`:\s+0000000000200001\n`), string(output), "CHOWN and SYS_ADMIN")
	}
	assert.Regexp(t, `CapInh:\s+0+\n`, string(output))
}
