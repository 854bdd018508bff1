package doctor

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

func all() []Check { return append(OfDriver(), OfFetcher()...) }

func TestASoundNodeIsWell(t *testing.T) {
	findings := newRig(t).examine(t)
	assert.Empty(t, complaints(findings))
	assert.Equal(t, OK, worst(findings))
	assert.Len(t, findings, 11)
	for _, finding := range findings {
		assert.Equal(t, OK, finding.State, finding)
		assert.NotContains(t, finding.Detail, "needle")
	}
}

// TestTheFaultAndTheRemedyAreNamed breaks one thing of a sound node.
func TestTheFaultAndTheRemedyAreNamed(t *testing.T) {
	ago := func(hours int) time.Time { return time.Now().Add(-time.Duration(hours) * time.Hour) }
	for _, row := range []struct {
		name          string
		breakIt       func(*testing.T, *rig)
		fault, remedy string
	}{
		{"old kernel", func(_ *testing.T, r *rig) { r.Kernel = "5.4.0-generic" },
			"failed kernel: 5.4.0-generic does not tell a mount point", "Linux 5.8 or later"},
		{"swap", func(_ *testing.T, r *rig) { r.Kernel, r.Swap = "6.1.0", true },
			"warning kernel: 6.1.0 cannot keep a tmpfs out of swap", "turn swap off or encrypt it"},
		{"mounts that stay in the driver's pod", func(t *testing.T, r *rig) {
			require.NoError(t, unix.Mount("", r.PodsDir, "", unix.MS_PRIVATE, ""))
		}, "failed mount propagation: ", "mountPropagation: Bidirectional"},
		{"wrong kubelet directory", func(_ *testing.T, r *rig) { r.PodsDir = filepath.Join(r.dir, "none") },
			"none does not exist here", "kubeletRootDir"},
		{"no driver", func(_ *testing.T, r *rig) { r.Endpoint += ".none" },
			"failed driver: the CSI socket ", "look at the log of the driver's pod"},
		{"the driver's socket deleted under it", func(t *testing.T, r *rig) {
			require.NoError(t, os.Remove(r.Endpoint))
		}, "failed driver: the CSI socket ", "look at the log of the driver's pod"},
		{"wrong registry", func(_ *testing.T, r *rig) { r.RegistrationDir = r.dir },
			"failed kubelet registration: the registration socket ", "kubelet's own plugins_registry"},
		{"registration socket of a killed driver", func(t *testing.T, r *rig) {
			path := filepath.Join(r.RegistrationDir, csi.Name+"-reg.sock")
			require.NoError(t, os.Rename(path, path+"~"))
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			r.answerProbes(t, http.StatusOK, "ok")
		}, "failed kubelet registration: the registration socket ", "kubelet's own plugins_registry"},
		{"kubelet refused", func(t *testing.T, r *rig) {
			r.answerProbes(t, http.StatusServiceUnavailable, "kubelet refused the registration: no such version")
		}, "failed readiness: kubelet refused the registration: no such version", "read kubelet's log for " + csi.Name},
		{"core down", func(t *testing.T, r *rig) { require.NoError(t, r.listen.Close()) },
			"failed core: dial tcp ", "see that core runs"},
		{"another CA", func(t *testing.T, r *rig) { r.file(t, "ca.crt", newAuthority(t).PEM()) },
			"failed core: tls: failed to verify certificate: x509: certificate signed by unknown authority", "give --core-ca the CA"},
		{"another name", func(_ *testing.T, r *rig) { r.Core.ServerName = "core.example" },
			"failed core: tls: failed to verify certificate: x509: ", "give --core-server-name"},
		{"core's certificate expired", func(t *testing.T, r *rig) {
			r.serveCore(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = ago(2), ago(1) })
		}, "failed core: tls: failed to verify certificate: x509: certificate has expired", "have core's operator renew"},
		{"core's certificate expires soon", func(t *testing.T, r *rig) {
			r.serveCore(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(24 * time.Hour) })
		}, "warning core's certificate: it expires at ", "have core's operator renew"},
		{"node's certificate expires soon", func(t *testing.T, r *rig) {
			r.showCertificate(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(24 * time.Hour) })
		}, "warning client certificate: it expires at ", "issue a new one"},
		{"node's certificate of another CA", func(t *testing.T, r *rig) {
			r.showPair(t, issue(t, newAuthority(t), func(*x509.Certificate) {}))
		}, "failed core: core hung up: remote error: tls: ", "have core trust the CA"},
		{"another audience", func(t *testing.T, r *rig) { r.showToken(t, "vault", time.Now(), time.Now().Add(time.Hour)) },
			`failed token: it is for audience ["vault"], and --core-audience is "leoflow-core"`, "tokenRequests of the CSIDriver"},
		{"clock behind", func(t *testing.T, r *rig) {
			r.showToken(t, csi.CoreAudience, time.Now().Add(time.Hour+30*time.Second), time.Now().Add(2*time.Hour))
		}, "failed clock: this node's is -1h0m", "by NTP"},
		{"stale volume", func(t *testing.T, r *rig) { r.mountVolume(t, ago(2), layout.Manifest{StaleAfter: 900}) },
			"failed volume of pod uid: its files were last confirmed 2h0m", "requiresRepublish: true"},
		{"withdrawn entry", func(t *testing.T, r *rig) {
			r.mountVolume(t, time.Now(), layout.Manifest{Entries: []layout.Entry{{Kind: "connection", ID: "payroll", State: "denied", Required: true}}})
		}, `warning volume of pod uid: the connection "payroll" was withdrawn: denied`, "grant it again"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			row.breakIt(t, r)
			found := r.examine(t)
			assert.NotContains(t, fmt.Sprint(found), " 0 well")
			said := complaints(found)
			assert.Equal(t, 1, strings.Count(said, "\n"), said)
			fault, remedy, _ := strings.Cut(said, " → ")
			assert.Contains(t, fault, row.fault)
			assert.Contains(t, remedy, row.remedy)
			assert.NotContains(t, said, "needle")
		})
	}
}

func TestATokenThatIsNoneIsNotQuoted(t *testing.T) {
	r := newRig(t)
	require.NoError(t, os.WriteFile(r.Core.TokenFile, []byte("needle"), 0o600))
	said := complaints(r.examine(t))
	assert.Contains(t, said, "holds no service-account token")
	assert.NotContains(t, said, "needle")
}
