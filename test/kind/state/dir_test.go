package state

import (
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLifeOfADirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "state")
	dir, err := Create(path)
	require.NoError(t, err)
	_, err = dir.Cluster()
	require.ErrorIs(t, err, fs.ErrNotExist)

	cluster := Cluster{Version: "v1.36.3", Binaries: "/bin"}
	require.NoError(t, dir.Renew(cluster))
	read, err := dir.Cluster()
	require.NoError(t, err)
	assert.Equal(t, cluster, read)

	leftover := dir.Path("var", "leftover")
	require.NoError(t, os.WriteFile(leftover, nil, 0o600))
	require.NoError(t, dir.Renew(cluster))
	assert.NoFileExists(t, leftover)

	require.NoError(t, dir.Remove())
	assert.NoDirExists(t, path)
	assert.ErrorIs(t, dir.Remove(), fs.ErrNotExist)
}

func TestWhatIsNotAClustersStays(t *testing.T) {
	path := t.TempDir()
	precious := filepath.Join(path, "precious")
	require.NoError(t, os.WriteFile(precious, nil, 0o600))
	_, err := Create(path)
	assert.ErrorContains(t, err, "is something else's")
	assert.ErrorIs(t, Dir(path).Remove(), fs.ErrNotExist)
	assert.FileExists(t, precious)
}

func TestLockIsTakenOnce(t *testing.T) {
	dir := Dir(t.TempDir())
	unlock, err := dir.Lock()
	require.NoError(t, err)
	_, err = dir.Lock()
	require.ErrorContains(t, err, "another command is at work")
	unlock()
	unlock, err = dir.Lock()
	require.NoError(t, err)
	unlock()
	_, err = Dir(dir.Path("absent")).Lock()
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestNamesFollowFromThePath(t *testing.T) {
	tests := netip.MustParsePrefix("198.18.0.0/15")
	names, addresses := map[string]bool{}, map[netip.Addr]bool{}
	for _, dir := range []Dir{"/a", "/b", "/c", "/var/lib/cluster"} {
		names[dir.Name()] = true
		assert.LessOrEqual(t, len(dir.Name()), 15, "the longest name of a network interface")
		host, node := dir.Addresses()
		assert.Equal(t, host.Next(), node)
		for _, address := range []netip.Addr{host, node} {
			assert.True(t, tests.Contains(address), address)
			addresses[address] = true
		}
		link := netip.PrefixFrom(host, 30)
		assert.True(t, link.Contains(node))
		assert.NotEqual(t, link.Masked().Addr(), host, "the network's own address")
	}
	assert.Len(t, names, 4)
	assert.Len(t, addresses, 8)
}
