package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/stack"
)

// TestNoSecretIsFoundOutsideTheVolume plants a needle in every place that holds a
// secret, walks every path, good and bad, at debug level, and searches everything that
// the programs leave behind.
func TestNoSecretIsFoundOutsideTheVolume(t *testing.T) {
	needles := map[string]string{}
	plant := func(where string) string {
		needles[where] = needle()
		return needles[where]
	}
	began := time.Now().Add(-time.Second)
	key := plant("private key")
	s := start(t, stack.Options{
		Connections: asJSON(t, map[string]any{
			"warehouse": map[string]any{"conn_type": "postgres", "login": "etl", "password": plant("password"), "extra": map[string]any{"token": plant("extra")}},
			"gcp": map[string]any{"conn_type": "google_cloud_platform", "extra": map[string]any{"keyfile_dict": map[string]any{
				"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\n" + key + "\n-----END PRIVATE KEY-----\n", "client_email": "a@b"}}},
			"uri":     "mysql://u:" + plant("password in a URI") + "@h/s",
			"broken":  "mysql://u:" + plant("password in a broken URI") + "@h:port/s",
			"sealed":  "sealed:v1:" + plant("a seal that does not open"),
			"hidden":  "mysql://u:" + plant("password that is denied") + "@h/s",
			"listful": map[string]any{"conn_type": "x", "extra": []string{plant("an extra that is a list")}},
		}),
		Variables: asJSON(t, map[string]any{
			"region": plant("variable"), "nul": plant("variable with a NUL") + "\x00", "Twin": plant("first twin"), "twin": plant("second twin"),
		}),
		Rules:      "rules: [{tenants: [acme], dags: ['*'], connections: [warehouse, gcp, uri, broken, sealed, listful, absent], variables: ['*']}]\n",
		CoreArgs:   []string{"--log-level=debug"},
		DriverArgs: []string{"--log-level=debug"},
	})
	jwtKey, err := os.ReadFile(filepath.Join(s.Dir, "jwt.key"))
	require.NoError(t, err)
	needles["key of core's tokens"] = strings.TrimSpace(string(jwtKey))
	good, expired, stranger := token(t, s), token(t, s, "--ttl=1s"), token(t, s, "--tenant=other")
	needles["token"], needles["expired token"], needles["stranger's token"] = good, expired, stranger
	forged := good[:len(good)-8] + "AAAAAAAA"
	needles["forged token"] = forged
	signature := strings.LastIndex(good, ".")
	needles["the token's signature"] = good[signature+1:]

	var seen bytes.Buffer // what users see besides logs
	note := func(err error) {
		if err != nil {
			seen.WriteString(err.Error() + "\n")
		}
	}
	publish := func(name, token string, attributes map[string]string) {
		note(s.Kubelet.Publish(t.Context(), pod(name, token, attributes)))
	}
	all := map[string]string{"connections": "warehouse, gcp, uri", "variables": "region"}
	first := pod("good", good, all)
	require.NoError(t, s.Kubelet.Publish(t.Context(), first))
	require.NoError(t, s.Kubelet.Publish(t.Context(), first))
	publish("everything", good, map[string]string{"connections": "*", "variables": "*"})
	publish("optional", good, map[string]string{"connections": "broken?, sealed?, listful?, hidden?, absent?", "variables": "nul?"})
	for _, id := range []string{"broken", "sealed", "listful", "hidden", "absent"} {
		publish("required-"+id, good, map[string]string{"connections": id})
	}
	publish("nul", good, map[string]string{"variables": "nul"})
	publish("twins", good, map[string]string{"variables": "twin, Twin"})
	publish("forged", forged, all)
	publish("stranger", stranger, all)
	publish("no-token", "", all)
	publish("mistaken", good, map[string]string{"connections": "warehouse", "conections": "x", "mode": good})
	withTaskToken := pod("task-token", stranger, all)
	withTaskToken.TaskToken = good
	require.NoError(t, s.Kubelet.Publish(t.Context(), withTaskToken))
	require.Eventually(t, func() bool { return time.Now().After(began.Add(3 * time.Second)) }, testwait.Limit, 50*time.Millisecond, "for the token to expire")
	publish("expired", expired, all)

	needles["rotated password"] = needle()
	require.NoError(t, s.ReplaceInConnections(needles["password"], needles["rotated password"]))
	require.Eventually(t, func() bool {
		value, err := os.ReadFile(filepath.Join(s.Kubelet.Target(first), "connections", "warehouse"))
		return err == nil && bytes.Contains(value, []byte(needles["rotated password"]))
	}, testwait.Limit, 10*time.Millisecond)
	require.NoError(t, s.WriteConnections(`{"warehouse": "`+needles["rotated password"]+`" oops`))

	target := s.Kubelet.Target(first)
	for _, args := range [][]string{
		{"agent", "exec", "--dir", target, "--", "/bin/true"},
		{"agent", "exec", "--dir", target, "--", "/does/not/exist"},
		{"agent", "env", "--dir", target}, {"agent", "check", "--dir", target}, {"agent", "wait", "--dir", target},
		{"agent", "check", "--dir", s.Kubelet.Target(pod("optional", "", nil))},
		{"core", "check", "--connections", s.Connections, "--variables", s.Variables, "--rules", filepath.Join(s.Dir, "rules.yaml")},
		{"core", "render", "--connections", s.Connections, "--variables", s.Variables},
		{"core", "check", "--variables", s.Variables}, {"core", "render", "--variables", s.Variables},
	} {
		out, err := run(t, args[0], args[1:]...)
		seen.WriteString(out)
		note(err)
	}
	for _, path := range []string{"cmdline", "environ"} {
		for _, process := range []*stack.Process{s.Core, s.Driver} {
			content, err := os.ReadFile(filepath.Join("/proc", process.ID(), path))
			require.NoError(t, err)
			seen.Write(content)
		}
	}
	require.NoError(t, s.Kubelet.UnpublishAll(t.Context()))
	require.NoError(t, s.Core.Signal(syscall.SIGTERM))
	require.NoError(t, s.Driver.Signal(syscall.SIGTERM))
	require.NoError(t, errors.Join(s.Core.Wait(), s.Driver.Wait()))

	for where, needle := range needles {
		assert.NotContains(t, seen.String(), needle, "%s, in an error, a command's output, an argument list or an environment", where)
		assert.NotContains(t, s.Core.Output(), needle, "%s, in core's log or audit log", where)
		assert.NotContains(t, s.NodeOutput(), needle, "%s, in the driver's log", where)
	}
	assert.Contains(t, s.Core.Output(), `"decision":"denied"`)
	assert.Contains(t, s.NodeOutput(), "NodePublishVolume")
	findOnDisk(t, began, needles, s.Connections, s.Variables, filepath.Join(s.Dir, "jwt.key"))
}

// findOnDisk searches every file of the root file system that changed since the test
// began, and of the directory of temporary files, which may be another. Core's own files
// are where the secrets come from; volumes are file systems of their own. What this user may
// neither read nor write, no program of his has written.
func findOnDisk(t *testing.T, since time.Time, needles map[string]string, sources ...string) {
	t.Helper()
	searched := searchBelow(t, "/", since, needles, sources)
	if temporary := os.TempDir(); deviceOf(t, temporary) != deviceOf(t, "/") {
		searched += searchBelow(t, temporary, since, needles, sources)
	}
	assert.Positive(t, searched)
}

func searchBelow(t *testing.T, directory string, since time.Time, needles map[string]string, sources []string) (searched int) {
	t.Helper()
	device := deviceOf(t, directory)
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone meanwhile
			return nil
		case errors.Is(err, fs.ErrPermission) && !mayWrite(path):
			return nil
		case err != nil:
			return err
		case entry.IsDir():
			if info, err := entry.Info(); err == nil && info.Sys().(*syscall.Stat_t).Dev != device {
				return filepath.SkipDir
			}
			return nil
		case slices.Contains(sources, path) || !isRecent(entry, since):
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) && !mayWrite(path) {
			return nil
		}
		searched++
		for where, needle := range needles {
			assert.False(t, bytes.Contains(content, []byte(needle)), "%s, in %s", where, path)
		}
		return err
	})
	require.NoError(t, err)
	return searched
}

func mayWrite(path string) bool { return unix.Access(path, unix.W_OK) == nil }

// isRecent reports whether a regular file of a size that can be searched was written
// since a time.
func isRecent(entry fs.DirEntry, since time.Time) bool {
	info, err := entry.Info()
	return err == nil && info.Mode().IsRegular() && !info.ModTime().Before(since) && info.Size() <= 64<<20
}

func deviceOf(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	return info.Sys().(*syscall.Stat_t).Dev
}
