package component

import (
	"encoding/json"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

var settings = Settings{
	Name:        "leoflow-test",
	NodeAddress: netip.MustParseAddr("198.18.0.2"),
	PauseImage:  "localhost/pause:test",
}

func TestEveryFileThatAProgramReadsIsWritten(t *testing.T) {
	etc := t.TempDir()
	require.NoError(t, Configure(etc, settings))
	const inside = "/node/etc/"
	var read []string
	for _, stage := range Stages(settings) {
		for _, unit := range stage {
			for _, arg := range unit.Args {
				if _, file, found := strings.Cut(arg, inside); found {
					read = append(read, file)
				}
			}
		}
	}
	require.NotEmpty(t, read)
	for _, file := range read {
		assert.FileExists(t, filepath.Join(etc, file))
	}
}

func TestEveryTemplateHasADestination(t *testing.T) {
	templates, err := fs.Glob(files, "files/*")
	require.NoError(t, err)
	assert.Len(t, destinations, len(templates))
	etc := t.TempDir()
	require.NoError(t, Configure(etc, settings))
	for _, template := range templates {
		content, err := os.ReadFile(filepath.Join(etc, destinations[template]))
		require.NoError(t, err, template)
		assert.NotContains(t, string(content), "{{", template)
	}
}

func TestConfigurationsParse(t *testing.T) {
	etc := t.TempDir()
	require.NoError(t, Configure(etc, settings))
	content, err := os.ReadFile(filepath.Join(etc, "kubelet.yaml"))
	require.NoError(t, err)
	var kubelet struct {
		CgroupRoot string   `json:"cgroupRoot"`
		ClusterDNS []string `json:"clusterDNS"`
	}
	require.NoError(t, yaml.Unmarshal(content, &kubelet))
	assert.Equal(t, "/leoflow-test", kubelet.CgroupRoot)
	assert.Equal(t, []string{"198.18.0.2"}, kubelet.ClusterDNS)

	content, err = os.ReadFile(filepath.Join(etc, "cni", "pods.conflist"))
	require.NoError(t, err)
	assert.True(t, json.Valid(content), string(content))
	assert.Contains(t, string(content), PodNetwork)
}

func TestKeysAreTheirOwnersOnly(t *testing.T) {
	etc := t.TempDir()
	require.NoError(t, Configure(etc, settings))
	keys, err := filepath.Glob(filepath.Join(etc, "*.key"))
	require.NoError(t, err)
	kubeconfigs, err := filepath.Glob(filepath.Join(etc, "*.kubeconfig"))
	require.NoError(t, err)
	require.NotEmpty(t, keys)
	require.NotEmpty(t, kubeconfigs)
	for _, path := range append(keys, kubeconfigs...) {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o600), info.Mode(), path)
	}
}
