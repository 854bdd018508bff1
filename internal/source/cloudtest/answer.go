package cloudtest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

// Tells has a pod ask a store for connection x, and requires the state and what is said of it. Where
// no entry is told of, state is empty, and the call fails by that kind of error.
func Tells(t *testing.T, served provider.Provider, pod provider.Identity, state string, kind error, says string) {
	t.Helper()
	entries, err := served.Fetch(t.Context(), pod, providertest.Names([]string{"x"}, nil))
	if state == "" {
		require.ErrorIs(t, err, kind)
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "n33dle")
		return
	}
	require.NoError(t, err)
	assert.Equal(t, state, string(entries[0].State))
	assert.Contains(t, entries[0].Notices[0].Message, says)
	assert.NotContains(t, entries[0].Notices[0].Message, "n33dle")
}
