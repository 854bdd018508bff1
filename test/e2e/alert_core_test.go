package e2e

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// coreMoves is moves for what core itself says.
func (n *node) coreMoves(t *testing.T, series string, least float64) {
	t.Helper()
	n.core.await(t, series, least)
	before := valueOf(t, n.coreBefore, series)
	assert.Less(t, before, least, "%s", series)
	n.moved = append(n.moved, series)
}

// falls waits until what page says of a series is less than it was, and still something.
func (n *node) falls(t *testing.T, from scraped, before, series string) {
	t.Helper()
	was := valueOf(t, before, series)
	require.Positive(t, was, series)
	require.Eventually(t, func() bool {
		now := valueOf(t, from.page(t), series)
		return now > 0 && now < was
	}, 15*time.Second, 20*time.Millisecond, "%s is %v", series, was)
	n.moved = append(n.moved, series)
}

// mistypeARule also shows what is in force meanwhile: what was before.
func mistypeARule(t *testing.T, n *node) {
	require.NoError(t, os.WriteFile(filepath.Join(n.Dir, "rules.yaml"), []byte("rules: [mistyped"), 0o600))
	n.coreMoves(t, `leoflow_core_file_not_in_force_since_seconds{file="`+filepath.Join(n.Dir, "rules.yaml")+`",team=""}`, 1)
	require.NoError(t, n.publish(t, "second"))
}

// cutTheExport leaves one entry of thirteen.
func cutTheExport(t *testing.T, n *node) {
	require.NoError(t, n.WriteConnections(`{"warehouse": "postgres://etl:first@db/base"}`))
	n.coreMoves(t, `leoflow_core_entries_dropped_total`, 12)
	n.falls(t, n.core, n.coreBefore, `leoflow_core_entries{kind="connection"}`)
}

// fillTheAuditLog takes the last byte of the disk that core's audit log is on.
func fillTheAuditLog(t *testing.T, n *node) {
	filler, err := os.Create(filepath.Join(n.auditDir, "filler"))
	require.NoError(t, err)
	for err == nil {
		_, err = filler.Write(make([]byte, 512))
	}
	require.True(t, errors.Is(err, unix.ENOSPC), err)
	require.NoError(t, filler.Close())
	// The log's own last page has room for a few records more.
	name := ""
	for i := 0; err == nil || i == 0; i++ {
		require.Less(t, i, 50, "records are still written")
		name = "unrecorded-" + strconv.Itoa(i)
		err = n.publish(t, name)
	}
	n.coreMoves(t, `leoflow_core_audit_failures_total`, 1)
	require.NoError(t, os.Remove(filler.Name()))
	require.Eventually(t, func() bool { return n.publish(t, name) == nil }, 15*time.Second, 100*time.Millisecond)
}

// askWithoutPause has pods of one task start until that has filled its share of the audit log. Another
// task's pod is given what it asks for.
func askWithoutPause(t *testing.T, n *node) {
	err := error(nil)
	for i := 0; err == nil; i++ {
		require.Less(t, i, 500, "core gives without end")
		err = n.publish(t, "greedy-"+strconv.Itoa(i))
	}
	assert.ErrorContains(t, err, "fills its share of core's audit log, 200 bytes a second")
	n.coreMoves(t, `leoflow_core_decisions_total{outcome="throttled"}`, 1)
	modest := token(t, n.Stack, "--task=modest")
	assert.NoError(t, n.Kubelet.Publish(t.Context(), pod("modest", modest, map[string]string{"connections": "warehouse"})))
}

// letCertificatesEnd replaces core's and the driver's by others that end within the week.
func letCertificatesEnd(t *testing.T, n *node) {
	soon := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(6 * 24 * time.Hour) }
	for _, name := range []string{"core", "node"} {
		_, _, err := n.PKI.Issue(name, soon)
		require.NoError(t, err)
	}
	n.falls(t, n.core, n.coreBefore, `leoflow_core_certificate_expiry_timestamp_seconds`)
	n.falls(t, n.scraped, n.before, `leoflow_csi_certificate_expiry_timestamp_seconds`)
}

// manyConnections are "warehouse" and a dozen that nobody asks for.
func manyConnections() string {
	var more strings.Builder
	for _, letter := range "abcdefghijkl" {
		more.WriteString(`, "other_` + string(letter) + `": "http://h"`)
	}
	return `{"warehouse": "postgres://etl:first@db/base"` + more.String() + `}`
}
