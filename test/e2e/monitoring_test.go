package e2e

import (
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/stack"
)

// scraped is a driver as Prometheus sees it.
type scraped struct{ address string }

// unused is an address of loopback on which nobody listens.
func unused(t *testing.T) scraped {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return scraped{listener.Addr().String()}
}

// page is empty where nobody answers.
func (s scraped) page(t *testing.T) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.address+"/metrics", nil)
	require.NoError(t, err)
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(text)
}

// await waits until the series, a regular expression, has at least the value, or where
// that is 0, exactly.
func (s scraped) await(t *testing.T, series string, least float64) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^` + series + ` (\S+)$`)
	require.Eventually(t, func() bool {
		match := line.FindStringSubmatch(s.page(t))
		if match == nil {
			return false
		}
		value, err := strconv.ParseFloat(match[1], 64)
		return err == nil && (value == 0) == (least == 0) && value >= least
	}, 20*time.Second, 20*time.Millisecond, "%s to be %v", series, least)
}

// TestTheMetricsMoveInEachFaultThatAnAlertKnows breaks what the alerts are about, those
// apart that take minutes: stale volumes and slow answers.
func TestTheMetricsMoveInEachFaultThatAnAlertKnows(t *testing.T) {
	driver := unused(t)
	s := start(t, stack.Options{
		Connections: `{"warehouse": "postgres://etl:first@db/base"}`, Variables: `{}`, Rules: allowAll,
		DriverArgs: []string{"--health-address=" + driver.address},
	})
	attributes := map[string]string{"connections": "warehouse"}
	good := token(t, s)
	require.NoError(t, s.Kubelet.Publish(t.Context(), pod("first", good, attributes)))

	// A sound node, and a change.
	driver.await(t, `leoflow_csi_ready`, 1)
	driver.await(t, `leoflow_csi_watch_up{provider="core"}`, 1)
	driver.await(t, `leoflow_csi_provider_up{provider="core"}`, 1)
	driver.await(t, `leoflow_csi_volumes{provider="core"}`, 1)
	driver.await(t, `leoflow_csi_volumes_stale{provider="core"}`, 0)
	driver.await(t, `leoflow_csi_volume_bytes`, 1)
	require.NoError(t, s.WriteConnections(`{"warehouse": "postgres://etl:second@db/base"}`))
	driver.await(t, `leoflow_csi_rotations_total{cause="watch",provider="core"}`, 1)
	driver.await(t, `leoflow_csi_rotation_lag_seconds_count`, 1)

	// LeoflowPublishErrors: a token that core refuses.
	require.Error(t, s.Kubelet.Publish(t.Context(), pod("stranger", "no-token", attributes)))
	driver.await(t, `leoflow_csi_delivery_duration_seconds_count{cause="publish",outcome="unauthenticated"}`, 1)

	// LeoflowProviderUnreachable, and of LeoflowWatchFlapping one round.
	s.Core.Kill()
	driver.await(t, `leoflow_csi_watch_up{provider="core"}`, 0)
	driver.await(t, `leoflow_csi_watch_interruptions_total{provider="core"}`, 1)
	require.Error(t, s.Kubelet.Publish(t.Context(), pod("early", good, attributes)))
	driver.await(t, `leoflow_csi_provider_up{provider="core"}`, 0)
	driver.await(t, `leoflow_csi_provider_calls_total{code="Unavailable",provider="core"}`, 1)
	require.NoError(t, s.StartCore(t.Context()))
	require.Eventually(t, func() bool { return s.Kubelet.Publish(t.Context(), pod("early", good, attributes)) == nil },
		20*time.Second, 100*time.Millisecond)
	driver.await(t, `leoflow_csi_provider_up{provider="core"}`, 1)
	driver.await(t, `leoflow_csi_watch_up{provider="core"}`, 1)
	assert.NotContains(t, driver.page(t), "warehouse")

	// LeoflowDriverDown, by kill -9. Doctor had found nothing wrong with driver and core.
	examine := func() string {
		out, _ := exec.CommandContext(t.Context(), filepath.Join(binaries(t), "driver"), "doctor", "--pid="+s.Driver.ID(), "--json").Output()
		return string(out)
	}
	said := examine()
	assert.Regexp(t, `"check": "driver",\s+"state": "ok"`, said)
	assert.Regexp(t, `"check": "core",\s+"state": "ok"`, said)
	s.Driver.Kill()
	assert.Empty(t, driver.page(t))
	require.NoError(t, s.StartDriver(t.Context()))
	driver.await(t, `leoflow_csi_ready`, 1)
}
