package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/test/stack"
)

// faults cause what each alert of the chart is about, on a sound node. That the alert then
// fires promtool's unit tests say, which every alert has too (test/alert).
var faults = map[string]func(*testing.T, *node){
	"LeoflowDriverDown":        refuseAndKillTheDriver,
	"LeoflowNoDriverSeen":      killTheDriver,
	"LeoflowSourceUnreachable": killCore,
	"LeoflowSecretsStale":      leaveVolumesAlone,
	"LeoflowPublishErrors":     failToPublish,
	"LeoflowPublishSlow":       slowCoreDown,
	"LeoflowWatchFlapping":     killCoreAgainAndAgain,

	"LeoflowCoreFileNotInForce":  mistypeARule,
	"LeoflowCoreEntriesDropped":  cutTheExport,
	"LeoflowCoreAuditFailing":    fillTheAuditLog,
	"LeoflowCoreCallerThrottled": askWithoutPause,
	"LeoflowCoreCertificateEnds": letCertificatesEnd,
}

func TestEachAlertsFaultMovesItsMetrics(t *testing.T) {
	known := rules(t)
	for _, rule := range known {
		t.Run(rule.Alert, func(t *testing.T) {
			t.Parallel() // most of the time they wait
			cause, found := faults[rule.Alert]
			require.True(t, found, "nothing here causes what this alert is about")
			n := soundNode(t)
			cause(t, n)
			for _, asked := range rule.selectors(t) {
				assert.True(t, slices.ContainsFunc(n.moved, asked.selects), "%s did not move, but %v", asked.text, n.moved)
			}
		})
	}
	assert.Len(t, known, len(faults), "faults of which no alert knows")
}

// node is one that is sound at first.
type node struct {
	*stack.Stack
	scraped
	token, registry string
	// core is where core's own metrics are, auditDir the disk of its audit log.
	core                 scraped
	coreBefore, auditDir string
	// before is what its driver said while it was sound, moved the series that a fault has
	// moved.
	before string
	moved  []string
}

func soundNode(t *testing.T) *node {
	t.Helper()
	registry, err := os.MkdirTemp("", "reg") // short enough for a socket to be in it
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(registry)) })
	n := &node{scraped: unused(t), registry: registry, core: unused(t), auditDir: t.TempDir()}
	require.NoError(t, unix.Mount("tmpfs", n.auditDir, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(n.auditDir, unix.MNT_DETACH)) })
	n.Stack = start(t, stack.Options{
		Connections: manyConnections(), Rules: allowAll,
		CoreArgs:   []string{"--metrics-address=" + n.core.address, "--audit-log=" + filepath.Join(n.auditDir, "audit.jsonl"), "--caller-audit-rate=200"},
		Variables:  asJSON(t, map[string]string{"huge": strings.Repeat("x", 100<<10)}),
		DriverArgs: []string{"--health-address=" + n.address, "--registration-dir=" + registry, "--volume-size=64Ki"},
	})
	n.token = token(t, n.Stack)
	n.tellRegistration(t, &registration.RegistrationStatus{PluginRegistered: true})
	require.NoError(t, n.publish(t, "first"))
	n.await(t, `leoflow_csi_ready`, 1)
	n.await(t, `leoflow_csi_watch_up{source="core"}`, 1)
	n.before, n.coreBefore = n.page(t), n.core.page(t)
	return n
}

// tellRegistration is what kubelet says once it has called the driver.
func (n *node) tellRegistration(t *testing.T, outcome *registration.RegistrationStatus) {
	t.Helper()
	socket := filepath.Join(n.registry, "secrets.csi.leoflow.io-reg.sock")
	connection, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer connection.Close()
	_, err = registration.NewRegistrationClient(connection).NotifyRegistrationStatus(t.Context(), outcome)
	require.NoError(t, err)
}

func (n *node) publish(t *testing.T, name string) error {
	t.Helper()
	return n.Kubelet.Publish(t.Context(), pod(name, n.token, map[string]string{"connections": "warehouse"}))
}

// moves waits until the series has at least the value, or where that is 0, exactly, which
// on the sound node it had not.
func (n *node) moves(t *testing.T, series string, least float64) {
	t.Helper()
	n.await(t, series, least)
	before := valueOf(t, n.before, series)
	assert.True(t, before < least || least == 0 && before > 0, "%s was %v before", series, before)
	n.moved = append(n.moved, series)
}

func refuseAndKillTheDriver(t *testing.T, n *node) {
	n.tellRegistration(t, &registration.RegistrationStatus{Error: "no such version"})
	n.moves(t, `leoflow_csi_ready`, 0)
	killTheDriver(t, n)
}

func killTheDriver(t *testing.T, n *node) {
	assert.Contains(t, n.before, "\nleoflow_csi_build_info{")
	n.Driver.Kill()
	n.await(t, `leoflow_csi_ready`, 0)
	n.Fetcher.Kill()
	assert.Empty(t, n.page(t), "the target is down")
	n.moved = append(n.moved, `leoflow_csi_build_info`)
	require.NoError(t, n.StartDriver(t.Context()))
}

func killCore(t *testing.T, n *node) {
	n.Core.Kill()
	require.Error(t, n.publish(t, "early"))
	n.moves(t, `leoflow_csi_source_up{source="core"}`, 0)
	n.moves(t, `leoflow_csi_fetch_duration_seconds_count{outcome="unavailable",source="core"}`, 1)
	n.moves(t, `leoflow_csi_source_calls_total{code="Unavailable",source="core"}`, 1)
	n.moves(t, `leoflow_csi_watch_up{source="core"}`, 0)
	require.NoError(t, n.StartCore(t.Context()))
	require.Eventually(t, func() bool { return n.publish(t, "early") == nil }, testwait.Limit, 100*time.Millisecond)
	n.await(t, `leoflow_csi_source_up{source="core"}`, 1)
	n.await(t, `leoflow_csi_watch_up{source="core"}`, 1)
}

// leaveVolumesAlone has the driver come back to a volume that nobody has confirmed for
// sixteen minutes, and which nobody can confirm.
func leaveVolumesAlone(t *testing.T, n *node) {
	n.Driver.Kill()
	n.Core.Kill()
	manifest := filepath.Join(n.Kubelet.Target(pod("first", "", nil)), layout.DataLink, layout.ManifestFile)
	ago := time.Now().Add(-16 * time.Minute)
	require.NoError(t, os.Chtimes(manifest, ago, ago))
	require.NoError(t, n.StartDriver(t.Context()))
	require.NoError(t, n.publish(t, "first"), "a live volume is never refused")
	n.moves(t, `leoflow_csi_volumes_stale{source="core"}`, 1)
	n.moves(t, `leoflow_csi_oldest_generation_age_seconds{source="core"}`, 960)
	require.NoError(t, n.StartCore(t.Context()))
	n.await(t, `leoflow_csi_volumes_stale{source="core"}`, 0)
}

// failToPublish causes each outcome that is the cluster's, but for "internal", which is a
// fault of ours.
func failToPublish(t *testing.T, n *node) {
	stranger := pod("stranger", "no-token", map[string]string{"connections": "warehouse"})
	require.Error(t, n.Kubelet.Publish(t.Context(), stranger))
	n.moves(t, `leoflow_csi_delivery_duration_seconds_count{cause="publish",outcome="unauthenticated"}`, 1)

	require.Error(t, n.Kubelet.Publish(t.Context(), pod("glutton", n.token, map[string]string{"variables": "huge"})))
	n.moves(t, `leoflow_csi_delivery_duration_seconds_count{cause="publish",outcome="no_space"}`, 1)

	squatted := n.Kubelet.Target(pod("squatted", "", nil))
	require.NoError(t, os.MkdirAll(squatted, 0o750))
	require.NoError(t, unix.Mount("tmpfs", squatted, "tmpfs", 0, "size=64k"))
	require.Error(t, n.publish(t, "squatted"))
	require.NoError(t, unix.Unmount(squatted, 0))
	n.moves(t, `leoflow_csi_delivery_duration_seconds_count{cause="publish",outcome="bad_target"}`, 1)
}

// slowCoreDown freezes core while a pod waits.
func slowCoreDown(t *testing.T, n *node) {
	require.NoError(t, n.Core.Freeze(t.Context()))
	time.AfterFunc(3500*time.Millisecond, func() { _ = n.Core.Thaw() })
	require.NoError(t, n.publish(t, "patient"))
	const slow, quick = `leoflow_csi_delivery_duration_seconds_bucket{cause="publish",outcome="delivered",le="5"}`,
		`leoflow_csi_delivery_duration_seconds_bucket{cause="publish",outcome="delivered",le="2.5"}`
	n.moves(t, slow, 2)
	assert.Equal(t, valueOf(t, n.before, quick), valueOf(t, n.page(t), quick), "it took longer than that")
}

func killCoreAgainAndAgain(t *testing.T, n *node) {
	const more = 6 // than the rule allows in fifteen minutes
	for range more {
		n.Core.Kill()
		n.await(t, `leoflow_csi_watch_up{source="core"}`, 0)
		require.NoError(t, n.StartCore(context.Background()))
		n.await(t, `leoflow_csi_watch_up{source="core"}`, 1)
	}
	n.moves(t, `leoflow_csi_watch_interruptions_total{source="core"}`, more)
}
