package file_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/source/file"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProviderKeepsTheContract(t *testing.T) {
	for name, poll := range map[string]time.Duration{"notified": time.Hour, "polling": 10 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, providertest.Harness{Serve: func(t *testing.T, world providertest.World) providertest.Source {
				config := exported(t, world)
				config.Poll = poll
				served, err := file.New(config)
				require.NoError(t, err)
				var mu sync.Mutex
				return providertest.Source{
					Provider: served,
					SetVariable: func(key, value string) {
						mu.Lock()
						defer mu.Unlock()
						world.Variables[key] = value
						write(t, config.Variables, world.Variables)
					},
					Break: func() { require.NoError(t, os.Remove(config.Variables)) },
				}
			}})
		})
	}
}

// exported is world as Airflow would export it.
func exported(t *testing.T, world providertest.World) file.Config {
	dir := t.TempDir()
	config := file.Config{Connections: filepath.Join(dir, "connections.json"), Variables: filepath.Join(dir, "variables.json")}
	connections := map[string]json.RawMessage{world.Broken: json.RawMessage(`{"conn_type": "http", "port": 70000}`)}
	for _, connection := range world.Connections {
		connections[connection.ID] = connection.JSON()
	}
	write(t, config.Connections, connections)
	write(t, config.Variables, world.Variables)
	return config
}

// write replaces the file whole, as a mounted Secret or an editor would.
func write(t *testing.T, path string, content any) {
	text, err := json.Marshal(content)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+".new", text, 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

func TestFetchSaysWhichLineIsWrong(t *testing.T) {
	world := providertest.NewWorld()
	config := exported(t, world)
	served, err := file.New(config)
	require.NoError(t, err)
	result, err := served.Fetch(t.Context(), world.Reader, providertest.Names([]string{world.Broken}, nil))
	require.NoError(t, err)
	require.Len(t, result, 1)
	assert.Equal(t, entry.Invalid, result[0].State)
	assert.Contains(t, result[0].Reason(), `connections.json:1: connection "broken": field "port"`)

	require.NoError(t, os.WriteFile(config.Variables, []byte("{\n\n\"env\": "+providertest.Needle), 0o600))
	_, err = served.Fetch(t.Context(), world.Reader, providertest.Everything())
	require.ErrorIs(t, err, provider.ErrUnavailable)
	assert.Contains(t, err.Error(), "reading export files: unavailable: variables.json:3: ")
	assert.NotContains(t, err.Error(), providertest.Needle)
}

func TestOneFileIsEnough(t *testing.T) {
	config := exported(t, providertest.NewWorld())
	config.Connections = ""
	served, err := file.New(config)
	require.NoError(t, err)
	result, err := served.Fetch(t.Context(), provider.Identity{}, providertest.Names([]string{"warehouse"}, []string{"blank"}))
	require.NoError(t, err)
	require.Len(t, result, 2)
	assert.Equal(t, entry.Missing, result[0].State)
	assert.Equal(t, entry.Delivered, result[1].State)
}

func TestNewSaysWhichFileCannotBeRead(t *testing.T) {
	_, err := file.New(file.Config{})
	require.EqualError(t, err, "configuring the file source: no file of connections and none of variables")
	_, err = file.New(file.Config{Connections: "/absent.json"})
	require.EqualError(t, err, "configuring the file source: open /absent.json: no such file or directory")
	_, err = file.New(file.Config{Variables: "/dev/zero"})
	require.EqualError(t, err, "configuring the file source: open /dev/zero: is no regular file: a pipe, a socket or a device cannot be read in its place")
}
