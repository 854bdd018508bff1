package main

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

// stripped marks the environment of the process that loses its capabilities.
const stripped = "LEOFLOW_TEST_STRIPPED"

func TestKeepsTheCapabilitiesItUses(t *testing.T) {
	if os.Getenv(stripped) != "" {
		require.NoError(t, dropCapabilities()) // returns in the process that began again
		status, err := os.ReadFile("/proc/self/status")
		require.NoError(t, err)
		fmt.Println(string(status))
		return
	}
	again := testwait.Command(t, "/proc/self/exe", "-test.run=^TestKeepsTheCapabilitiesItUses$")
	again.Env = append(os.Environ(), stripped+"=1")
	output, err := again.CombinedOutput()
	require.NoError(t, err, string(output))
	for _, set := range []string{"CapPrm", "CapEff", "CapBnd"} {
		assert.Regexp(t, regexp.MustCompile(set+`:\s+0000000000200001\n`), string(output), "CHOWN and SYS_ADMIN")
	}
	assert.Regexp(t, `CapInh:\s+0+\n`, string(output))
}
