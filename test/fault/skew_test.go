package fault

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/stack"
)

// TestOneVersionApart runs the driver, core and agent of two versions beside each other, as they
// are in the midst of an upgrade: each is in turn the one that is older, or newer, than the rest. The
// other version is that of -before, and else the commit before this one. Callers are task instances,
// and then pods whose tokens core takes from the driver of their own node alone.
func TestOneVersionApart(t *testing.T) {
	if *before == "" {
		*before = lastCommit(t)
		t.Cleanup(func() { *before = "" })
	}
	bins := map[string]string{"old": older(t), "new": binaries(t)}
	for _, row := range []struct{ core, driver, agent string }{
		{"old", "new", "new"}, {"new", "old", "old"},
		{"new", "old", "new"}, {"old", "new", "old"},
		{"new", "new", "old"}, {"old", "old", "new"},
	} {
		t.Run(row.core+" core, "+row.driver+" driver, "+row.agent+" agent", func(t *testing.T) {
			mixed := mix(t, map[string]string{"core": bins[row.core], "driver": bins[row.driver], "agent": bins[row.agent]})
			r := newRigOf(t, stack.Options{Bin: mixed}, "*")
			r.readByAgentOf(t, mixed)
			r.rotate(t)
			seen := r.row("", "")
			r.converge(t, seen)
			r.republish(t, seen)
			r.readByAgentOf(t, mixed)
			require.Zero(t, seen.lost+seen.restarted)
		})
	}
	// No comma in these names: core divides --kubeconfig, below the test's directory, at commas.
	for _, row := range []struct{ core, driver string }{{"old", "new"}, {"new", "old"}} {
		t.Run(row.core+" core and "+row.driver+" driver that shows its node", func(t *testing.T) {
			// docs/upgrading.md tells this exception of versions before core bound pods' tokens.
			bothBind := binds(t, bins[row.core]) && binds(t, bins[row.driver])
			binding := "--node-binding=off"
			if bothBind {
				binding = "--node-binding=required"
			}
			cluster := startCluster(t)
			r := newRigOf(t, stack.Options{
				Bin:        mix(t, map[string]string{"core": bins[row.core], "driver": bins[row.driver]}),
				CoreArgs:   append(cluster.coreArgs, binding),
				DriverArgs: []string{"--core-token-file=" + cluster.driverToken},
			}, "*", func(p *stack.Pod) { p.Token = cluster.sign(t, p.Namespace, p.ServiceAccount, p.Name, "here") })
			r.rotate(t)
			seen := r.row("", "")
			r.converge(t, seen)
			r.republish(t, seen)
			require.Zero(t, seen.lost+seen.restarted)
			if stolen := pod("stolen", cluster.sign(t, "airflow", "etl", "stolen", "elsewhere")); bothBind {
				assert.ErrorContains(t, r.Kubelet.Publish(t.Context(), stolen), `node \"elsewhere`)
			}
		})
	}
}

// TestFetchersOfTwoVersionsFillOneDirectory has each go on where the other has left off, as a sidecar does whose image is
// changed, or changed back, and the agent of either read that.
func TestFetchersOfTwoVersionsFillOneDirectory(t *testing.T) {
	if *before == "" {
		*before = lastCommit(t)
		t.Cleanup(func() { *before = "" })
	}
	bins := map[string]string{"old": older(t), "new": binaries(t)}
	help, err := testwait.Command(t, filepath.Join(bins["old"], "fetcher"), "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(help), "--into") {
		t.Logf("%s has no 'fetcher --into' yet", *before)
		return
	}
	dir, exported := filepath.Join(t.TempDir(), "secrets"), filepath.Join(t.TempDir(), "connections.json")
	for i, version := range []string{"new", "old", "new", "new", "old"} {
		value := fmt.Sprintf("postgres://u:value-%d@h/d", i/2) // some find what is right, and some change it
		require.NoError(t, os.WriteFile(exported, []byte(`{"warehouse": "`+value+`"}`), 0o600))
		said, err := testwait.Command(t, filepath.Join(bins[version], "fetcher"), "--into="+dir, "--allow-disk", "--file-connections="+exported, "--connections=*").CombinedOutput()
		require.NoError(t, err, "%s: %s", version, said)
		for _, reader := range bins {
			seen, err := testwait.Command(t, filepath.Join(reader, "agent"), "env", "--dir="+dir, "--format=json").Output()
			require.NoError(t, err, version)
			assert.JSONEq(t, `{"AIRFLOW_CONN_WAREHOUSE": "`+value+`"}`, string(seen), version)
		}
		left, err := filepath.Glob(filepath.Join(dir, "..2*"))
		require.NoError(t, err)
		assert.Len(t, left, 1, version)
	}
}

// mix is a directory of programs, each of the version in the directory beside its name.
func mix(t *testing.T, versions map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	// The fetcher is of the driver's build, where that has one.
	if _, err := os.Stat(filepath.Join(versions["driver"], "fetcher")); err == nil {
		versions["fetcher"] = versions["driver"]
	}
	for program, bin := range versions {
		starter := strings.ReplaceAll(knownFlags, "PROGRAM", filepath.Join(bin, program))
		require.NoError(t, os.WriteFile(filepath.Join(dir, program), []byte(starter), 0o755))
	}
	return dir
}

// binds tells whether core and driver of a version know of nodes.
func binds(t *testing.T, bin string) bool {
	t.Helper()
	help, err := testwait.Command(t, filepath.Join(bin, "core"), "serve", "--help").CombinedOutput()
	require.NoError(t, err, string(help))
	return strings.Contains(string(help), "--node-binding")
}

// cluster stands in for the API server, whose tokens name their node.
type cluster struct {
	api         *kubetest.Server
	coreArgs    []string
	driverToken string
}

func startCluster(t *testing.T) cluster {
	t.Helper()
	api, err := kubetest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { api.CloseClientConnections(); api.Close() })
	dir := t.TempDir()
	kubeconfig, token := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "token")
	c := cluster{api, []string{"--auth=tokenreview", "--kubeconfig=" + kubeconfig, "--node-service-accounts=leoflow/driver"}, token}
	require.NoError(t, os.WriteFile(kubeconfig, api.Kubeconfig(), 0o600))
	require.NoError(t, os.WriteFile(token, []byte(c.sign(t, "leoflow", "driver", "driver", "here")), 0o600))
	return c
}

// sign makes the token of a pod on a node.
func (c cluster) sign(t *testing.T, namespace, account, pod, node string) string {
	t.Helper()
	signed, err := c.api.Sign(kubetest.Token{
		Namespace: namespace, ServiceAccount: account, Pod: pod, PodUID: "uid-" + pod, Node: node,
		ID: pod, Audiences: []string{auth.PodAudience}, Expires: time.Now().Add(time.Hour),
	})
	require.NoError(t, err)
	return signed.Reveal()
}

// knownFlags becomes a program, without the flags that it does not know: what stack starts programs
// with is of this version, as a chart is, and a chart belongs to the programs of its own.
const knownFlags = `#!/bin/bash
case $1 in -*) help=$(PROGRAM --help) ;; *) help=$(PROGRAM "$1" --help) ;; esac
for argument; do
  if [[ $argument != --* ]] || grep -q -e "^  ${argument%%=*}\\b" <<<"$help"; then known+=("$argument"); fi
done
exec PROGRAM "${known[@]}"
`

// lastCommit is the one before the tree that is tested: the last one where that has changes.
func lastCommit(t *testing.T) string {
	t.Helper()
	for _, revision := range []string{"HEAD", "HEAD^"} {
		if err := testwait.Command(t, "git", "-c", "safe.directory=*", "-C", filepath.Join("..", ".."), "diff", "--quiet", revision, "--", "cmd", "internal", "pkg", "api").Run(); err != nil {
			return revision
		}
	}
	return "HEAD^"
}
