package envshim

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/mount/layout/filename"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }

// newVolume mounts a volume for the length of a test.
func newVolume(t testing.TB) string {
	t.Helper()
	target := filepath.Join(t.TempDir(), "volume")
	_, err := new(mount.Mounter).Mount(target, mount.Options{SizeBytes: 8 << 20})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, mount.Unmount(target)) })
	return target
}

// deliver makes a volume show variables, as the driver does.
func deliver(t testing.TB, target string, variables map[string]string) {
	t.Helper()
	_, err := mount.Write(target, content(variables))
	require.NoError(t, err)
}

func content(variables map[string]string) mount.Content {
	result := mount.Content{Mode: 0o440, Manifest: layout.Manifest{Fetched: time.Unix(1, 0)}}
	for _, key := range slices.Sorted(maps.Keys(variables)) {
		file := layout.VariablesDir + "/" + filename.Of(key)
		result.Entries = append(result.Entries, mount.Entry{
			Entry: layout.Entry{Kind: layout.Variable, ID: key, State: layout.Delivered, Env: "AIRFLOW_VAR_" + strings.ToUpper(key), File: file},
			Value: []byte(variables[key]), JSON: []byte(strconv.Quote(variables[key])),
		})
	}
	return result
}

func variable(key, value string) Entry {
	line := layout.Entry{Kind: layout.Variable, ID: key, State: layout.Delivered, Env: "AIRFLOW_VAR_" + strings.ToUpper(key)}
	return Entry{Entry: line, Value: secret.New(value)}
}
