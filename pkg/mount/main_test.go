package mount

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
)

func TestMain(m *testing.M) {
	if target := os.Getenv(victimTarget); target != "" {
		os.Exit(workUntilKilled(target))
	}
	os.Exit(mounttest.Run(m))
}

const megabyte = 1 << 20

// newVolume mounts a volume for the length of a test.
func newVolume(t testing.TB, sizeBytes int64) string {
	t.Helper()
	target := filepath.Join(t.TempDir(), "mount")
	created, err := new(Mounter).Mount(target, Options{SizeBytes: sizeBytes})
	require.NoError(t, err)
	require.True(t, created)
	t.Cleanup(func() { require.NoError(t, Unmount(target)) })
	return target
}

// fetched is a time of the last fetch, with all the digits a file's time has.
var fetched = time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)

// newContent is a valid content of one connection and one variable.
func newContent() Content {
	return Content{
		Entries:  []Entry{newEntry(layout.Connection, "warehouse", "postgres://warehouse"), newEntry(layout.Variable, "region", "north")},
		Manifest: layout.Manifest{Fetched: fetched},
		Mode:     0o440,
	}
}

// newEntry is a delivered entry at version 1.
func newEntry(kind layout.Kind, id, value string) Entry {
	return Entry{
		Entry: layout.Entry{Kind: kind, ID: id, State: layout.Delivered, Env: "AIRFLOW_" + string(kind) + "_" + id, File: string(kind) + "s/" + id, Version: "1"},
		Value: []byte(value), JSON: []byte(strconv.Quote(value)),
	}
}
