package fault

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/test/stack"
)

func TestCoreKilled(t *testing.T) {
	r := newRig(t)
	row := r.row("core killed (SIGKILL), back after half a second", "real process")
	for range some() {
		r.Core.Kill()
		r.rotate(t)
		pause(t, 500*time.Millisecond)
		r.republish(t, row)
		require.NoError(t, r.StartCore(context.Background()))
		r.converge(t, row)
	}
	row.record(t)
}

func TestCoreFrozen(t *testing.T) {
	const asking = 2 * time.Second
	r := newRig(t, "--fetch-timeout="+asking.String())
	row := r.row("core frozen (SIGSTOP) for three seconds", "real process")
	for range some() {
		require.NoError(t, r.Core.Freeze(t.Context()))
		r.rotate(t)
		late := pod("late", r.pods[0].Token)
		assert.ErrorContains(t, r.Kubelet.Publish(t.Context(), late), "core did not answer in time")
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), asking) // too little to wait in
		assert.ErrorContains(t, r.Kubelet.Publish(ctx, late), "core did not answer in time")
		cancel()
		assert.Less(t, time.Since(began), asking, "the second pod is told at once what the first found out")
		r.republish(t, row)
		pause(t, time.Second)
		require.NoError(t, r.Core.Thaw())
		r.converge(t, row)
		require.NoError(t, r.Kubelet.Unpublish(t.Context(), late))
	}
	row.record(t)
}

// reissue gives core a new certificate, of the authority in dir.
func (r *rig) reissue(t *testing.T, dir string) {
	t.Helper()
	authority := r.PKI
	if dir != r.Dir {
		stranger, err := stack.NewPKI(dir)
		require.NoError(t, err)
		authority = stranger
	}
	_, _, err := authority.Issue("core")
	require.NoError(t, err)
	for _, name := range []string{"core.crt", "core.key"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(r.Dir, name), content, 0o600))
	}
}

func TestCoreWithAnotherCertificate(t *testing.T) {
	r := newRig(t)
	row := r.row("core restarted with another certificate, good or a stranger's", "real process")
	for round := range some() {
		if round%2 == 1 {
			r.Core.Kill()
			r.reissue(t, t.TempDir())
			r.rotate(t)
			require.NoError(t, r.StartCore(context.Background()))
			assert.ErrorContains(t, r.Kubelet.Publish(t.Context(), pod("late", r.pods[0].Token)), "core's certificate is signed by a stranger")
			r.republish(t, row)
		}
		r.Core.Kill()
		r.reissue(t, r.Dir)
		r.rotate(t)
		require.NoError(t, r.StartCore(context.Background()))
		r.converge(t, row)
	}
	row.record(t)
}

func TestCoreRolledBack(t *testing.T) {
	r := newRig(t)
	row := r.row("core rolled back to an older revision, and forward again", "real process")
	for range some() {
		r.rotate(t)
		r.converge(t, row)
		r.Core.Kill()
		r.reader.back.Store(true)
		newest := r.mark
		r.mark--
		require.NoError(t, r.WriteConnections(connections(r.mark)))
		require.NoError(t, r.StartCore(context.Background()))
		r.converge(t, row)
		r.Core.Kill()
		r.mark = newest
		require.NoError(t, r.WriteConnections(connections(r.mark)))
		require.NoError(t, r.StartCore(context.Background()))
		r.converge(t, row)
		r.reader.back.Store(false)
	}
	row.record(t)
}

func TestCoreIsGivenABrokenFile(t *testing.T) {
	r := newRig(t)
	row := r.row("core's file replaced by a broken one", "real process")
	for range some() {
		require.NoError(t, r.WriteConnections(`{"conn_0": oops`))
		pause(t, 100*time.Millisecond)
		r.republish(t, row)
		r.rotate(t)
		r.converge(t, row)
	}
	row.record(t)
}

// limited is a copy of the binaries in which a script starts one of them.
func limited(t *testing.T, program, script string) (bin string) {
	t.Helper()
	bin = t.TempDir()
	for _, name := range []string{"core", "driver", "fetcher", "agent"} {
		real := filepath.Join(binaries(t), name)
		if name != program {
			require.NoError(t, os.Symlink(real, filepath.Join(bin, name)))
			continue
		}
		text := "#!/bin/sh\nREAL='" + real + "'\n" + script + "\n"
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755))
	}
	return bin
}

func TestCoreWithoutInotify(t *testing.T) {
	testneed.Program(t, "unshare")
	testneed.UserNamespace(t)
	r := newRigFrom(t, stack.Options{
		Bin: limited(t, "core", `[ "$1" = serve ] || exec "$REAL" "$@"
exec unshare --user --map-root-user sh -c 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"' sh "$REAL" "$@"`),
		CoreArgs: []string{"--poll=500ms"},
	})
	require.Contains(t, r.Core.Output(), "polling alone")
	row := r.row("no inotify instance left for core", "user namespace with none")
	for range some() {
		r.rotate(t)
		r.converge(t, row)
	}
	row.record(t)
}
