package gcp

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func opened(t *testing.T, config Config) *endpoints {
	withDefaults(&config)
	made := &endpoints{config: config, opened: map[string]*endpoint{}}
	t.Cleanup(func() { assert.NoError(t, made.close()) })
	return made
}

// TestEachRegionHasItsHost states Google's own hosts, which no other test asks.
func TestEachRegionHasItsHost(t *testing.T) {
	all := opened(t, Config{})
	for region, host := range map[string]string{
		"": "secretmanager.googleapis.com", "europe-west3": "secretmanager.europe-west3.rep.googleapis.com",
	} {
		at, err := all.at(region)
		require.NoError(t, err)
		assert.Equal(t, host, at.host)
		again, err := all.at(region)
		require.NoError(t, err)
		assert.Same(t, at, again)
	}
}

// TestRegionsWithoutEnd asks for more regions than there are. The global connection stays.
func TestRegionsWithoutEnd(t *testing.T) {
	all := opened(t, Config{})
	global, err := all.at("")
	require.NoError(t, err)
	for i := range 3 * maxEndpoints {
		_, err := all.at(fmt.Sprintf("nowhere-region%d", i))
		require.NoError(t, err)
		require.LessOrEqual(t, len(all.opened), maxEndpoints)
	}
	again, err := all.at("")
	require.NoError(t, err)
	assert.Same(t, global, again)
	_, err = all.at("nowhere-region0")
	require.NoError(t, err, "one that had to go comes back")
}

// TestAClosedCloudOpensNothing would leak a connection otherwise.
func TestAClosedCloudOpensNothing(t *testing.T) {
	all := opened(t, Config{})
	require.NoError(t, all.close())
	_, err := all.at("europe-west3")
	require.Error(t, err)
}

// TestARegionThatIsNot asks for a host under a name that no DNS has (RFC 6761).
func TestARegionThatIsNot(t *testing.T) {
	all := opened(t, Config{Audience: "a", RegionalEndpoint: "REGION.invalid:443"})
	at, err := all.at("nowhere-region1")
	require.NoError(t, err)
	assert.False(t, at.isHost(t.Context()))
	t.Setenv("HTTPS_PROXY", "http://proxy.example:3128")
	assert.True(t, at.isHost(t.Context()), "the proxy looks names up, and the node may know none")
	loopback, err := opened(t, Config{RegionalEndpoint: "127.0.0.1:1"}).at("nowhere-region1")
	require.NoError(t, err)
	assert.True(t, loopback.isHost(t.Context()))
}
