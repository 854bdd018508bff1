package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/test/stack"
)

// withoutPayroll are rules that let everybody read all but one connection.
const withoutPayroll = "rules: [{tenants: ['*'], dags: ['*'], connections: [warehouse, extra], variables: ['*']}]\n"

// soon is how long a withdrawal may take from when core has it.
const soon = time.Second

// revoke takes "payroll" away, and waits until it has left the pod's files.
func revoke(t *testing.T, s *stack.Stack, p stack.Pod) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(s.Dir, "rules.yaml.next"), []byte(withoutPayroll), 0o600))
	require.NoError(t, os.Rename(filepath.Join(s.Dir, "rules.yaml.next"), filepath.Join(s.Dir, "rules.yaml")))
	file := filepath.Join(s.Kubelet.Target(p), "connections", "payroll")
	began := time.Now()
	require.Eventually(t, func() bool {
		_, err := os.Lstat(file)
		return os.IsNotExist(err)
	}, 10*time.Second, 5*time.Millisecond, "it is still there")
	assert.Less(t, time.Since(began), soon)
}

func entryIn(t *testing.T, s *stack.Stack, p stack.Pod, id string) layout.Entry {
	t.Helper()
	shown, err := mount.Current(s.Kubelet.Target(p))
	require.NoError(t, err)
	for _, entry := range shown.Manifest.Entries {
		if entry.ID == id {
			return entry
		}
	}
	require.Fail(t, "no such entry", id)
	return layout.Entry{}
}

func readFrom(t *testing.T, s *stack.Stack, p stack.Pod, id string) string {
	t.Helper()
	value, err := os.ReadFile(filepath.Join(s.Kubelet.Target(p), "connections", id))
	require.NoError(t, err)
	return string(value)
}

// The neighbours whose trouble needs no cloud.
func TestAWithdrawalWaitsForNoNeighbour(t *testing.T) {
	const before = `{"payroll": "mysql://u:secret@h/s", "warehouse": "mysql://u:first@h/s", "extra": "mysql://u:old@h/s"}`
	for name, row := range map[string]struct{ extra, after, why string }{
		"required and broken":    {"extra", `{"conn_type": "mysql", "port": "none"}`, "port"},
		"optional and broken":    {"extra?", `{"conn_type": "mysql", "port": "none"}`, "port"},
		"required and too large": {"extra", `"mysql://u:` + strings.Repeat("x", 300<<10) + `@h/s"`, "do not fit"},
		"optional and too large": {"extra?", `"mysql://u:` + strings.Repeat("x", 300<<10) + `@h/s"`, "do not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, stack.Options{Connections: before, Variables: "{}", Rules: allowAll, DriverArgs: []string{"--volume-size=256Ki"}})
			p := pod("a", token(t, s), map[string]string{"connections": "payroll, warehouse, " + row.extra})
			require.NoError(t, s.Kubelet.Publish(t.Context(), p))

			require.NoError(t, s.WriteConnections(`{"payroll": "mysql://u:secret@h/s", "warehouse": "mysql://u:second@h/s", "extra": `+row.after+`}`))
			revoke(t, s, p)
			require.Eventually(t, func() bool { return readFrom(t, s, p, "warehouse") == "mysql://u:second@h/s" }, 10*time.Second, 5*time.Millisecond)
			assert.Equal(t, "mysql://u:old@h/s", readFrom(t, s, p, "extra"))
			held := entryIn(t, s, p, "extra").Held
			require.NotNil(t, held)
			assert.Contains(t, held.Why, row.why)
			assert.WithinDuration(t, time.Now(), held.Since, time.Minute)
			require.Eventually(t, func() bool {
				return strings.Contains(s.NodeOutput(), `held as delivered before: connection \"extra\" cannot be delivered`)
			}, 10*time.Second, 5*time.Millisecond)
			assert.NotContains(t, s.NodeOutput(), "xxx")
		})
	}
}

// A volume that is filled up to its cap starts, rotates and lets go.
func TestAWithdrawalNeedsNoRoom(t *testing.T) {
	big := func(letter string) string { return strings.Repeat(letter, 100<<10) }
	s := start(t, stack.Options{
		Connections: `{"payroll": "mysql://u:secret@h/s", "warehouse": "mysql://u:` + big("x") + `@h/s"}`, Variables: "{}", Rules: allowAll,
		DriverArgs: []string{"--volume-size=256Ki"},
	})
	p := pod("a", token(t, s), map[string]string{"connections": "payroll, warehouse"})
	require.NoError(t, s.Kubelet.Publish(t.Context(), p))
	usage, err := mount.Stats(s.Kubelet.Target(p))
	require.NoError(t, err)
	require.Greater(t, usage.Bytes.Used, usage.Bytes.Total*3/4, "it is nearly full")

	require.NoError(t, s.ReplaceInConnections(big("x"), big("y")))
	require.Eventually(t, func() bool { return readFrom(t, s, p, "warehouse") == "mysql://u:"+big("y")+"@h/s" }, 10*time.Second, 5*time.Millisecond)
	revoke(t, s, p)
}

// The neighbours whose trouble is a cloud's: away, silent, or never there.
func TestAWithdrawalWaitsForNoCloud(t *testing.T) {
	t.Parallel() // most of the time it waits
	for name, row := range map[string]struct {
		fault cloudtest.Fault
		why   string
	}{
		"away":     {cloudtest.Fault{Status: http.StatusServiceUnavailable}, `\(unavailable\)|no answer`},
		"silent":   {cloudtest.Fault{Silent: true}, "no answer"},
		"misspelt": {cloudtest.Fault{Status: http.StatusNotFound}, `\(missing\)`},
	} {
		for _, extra := range []string{"extra", "extra?"} {
			t.Run(name+" "+extra, func(t *testing.T) {
				c := startClouds(t)
				reference := func(key string) string {
					return `{"payroll": "mysql://u:secret@h/s", "warehouse": "mysql://u:` + key + `@h/s",
						"extra": {"conn_type": "google_cloud_platform", "extra": {"key_secret_name": "` + key + `", "key_secret_project_id": "project"}}}`
				}
				c.servers["gcs"].Hold(func(principal, _, _ string) (string, error) { return key("gcs", principal), nil })
				require.NoError(t, c.WriteConnections(reference("first")))
				p := c.pod("a", "a", "payroll, warehouse, "+extra)
				require.Eventually(t, func() bool { return c.Kubelet.Publish(t.Context(), p) == nil }, 20*time.Second, 10*time.Millisecond, "core reads its file")
				before := c.read(t, p, "extra")

				c.servers["gcs"].Break(cloudtest.At(cloudtest.Access, row.fault))
				require.NoError(t, c.WriteConnections(reference("second")))
				revoke(t, c.Stack, p)
				require.Eventually(t, func() bool { return strings.Contains(c.read(t, p, "warehouse"), "second") }, 10*time.Second, 5*time.Millisecond)
				assert.Equal(t, before, c.read(t, p, "extra"))
				// A cloud that is away is asked three times in a look, which a slow machine gives up before,
				// at every one.
				var said string
				assert.Eventually(t, func() bool {
					if held := entryIn(t, c.Stack, p, "extra").Held; held != nil {
						said = held.Why
					}
					return regexp.MustCompile(row.why).MatchString(said)
				}, 2*time.Minute, 10*time.Millisecond)
				assert.Regexp(t, row.why, said)
				c.noNeedle(t)
			})
		}
	}
}
