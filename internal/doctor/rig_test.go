package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/fetch"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/testca"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
)

func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }

// rig is a sound node: a driver that kubelet registered, a shared directory of pods with
// one volume, and a core that knows the node by its certificate.
type rig struct {
	Node
	dir    string
	ca     *testca.Authority
	listen net.Listener
}

func newRig(t *testing.T) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "doc") // short enough for a socket to be in it
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	r := &rig{dir: dir, ca: newAuthority(t)}
	r.Kernel, r.DriverName = "6.12.0-test", csi.Name
	r.shareDirectory(t)
	r.serveDriver(t)
	r.serveCore(t, func(*x509.Certificate) {})
	r.Core.Audience = csi.CoreAudience
	r.Core.CAFile = r.file(t, "ca.crt", r.ca.PEM())
	r.showCertificate(t, func(*x509.Certificate) {})
	r.showToken(t, csi.CoreAudience, time.Now(), time.Now().Add(time.Hour))
	r.mountVolume(t, time.Now(), layout.Manifest{StaleAfter: 900})
	return r
}

// examine makes all checks of the node as it is by now.
func (r *rig) examine(t *testing.T) []Finding {
	t.Helper()
	r.Driver = &csi.Server{Endpoint: r.Endpoint, RegistrationDir: r.RegistrationDir}
	return Examine(t.Context(), r.Node, all())
}

func (r *rig) file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(r.dir, name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func (r *rig) shareDirectory(t *testing.T) {
	t.Helper()
	pods := filepath.Join(r.dir, "pods")
	require.NoError(t, os.Mkdir(pods, 0o750))
	require.NoError(t, unix.Mount("tmpfs", pods, "tmpfs", 0, ""))
	require.NoError(t, unix.Mount("", pods, "", unix.MS_SHARED, ""))
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(pods, unix.MNT_DETACH)) })
	r.PodsDir = pods
}

func (r *rig) serveDriver(t *testing.T) {
	t.Helper()
	r.Endpoint, r.RegistrationDir = filepath.Join(r.dir, "csi.sock"), filepath.Join(r.dir, "registry")
	log := slog.New(slog.DiscardHandler)
	server := &csi.Server{Endpoint: r.Endpoint, RegistrationDir: r.RegistrationDir, Driver: csi.Config{
		NodeID: "node", Deliverer: deliver.New(deliver.Config{Readers: report.Readers{Log: log}, Fetcher: fetch.New(fetch.Config{})}),
		Providers: func(context.Context) ([]string, error) { return []string{"core"}, nil }, Logger: log,
	}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, testwait.Receive(t, ended))
	})
	require.Eventually(t, func() bool { return server.Live(t.Context()) == nil }, testwait.Limit, time.Millisecond)
	r.answerProbes(t, http.StatusOK, "ok")
}

func (r *rig) answerProbes(t *testing.T, code int, text string) {
	t.Helper()
	probes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(probes.Close)
	r.HealthAddress = probes.Listener.Addr().String()
}

// serveCore speaks first, as an HTTP/2 server does, to whoever shows a certificate of
// the rig's authority.
func (r *rig) serveCore(t *testing.T, change func(*x509.Certificate)) {
	t.Helper()
	pair, err := issue(t, r.ca, change).TLS()
	require.NoError(t, err)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: r.ca.Pool(), NextProtos: []string{"h2"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	r.listen, r.Core.Address = listener, listener.Addr().String()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("settings"))
			_ = conn.Close()
		}
	}()
}

func (r *rig) showCertificate(t *testing.T, change func(*x509.Certificate)) {
	t.Helper()
	r.showPair(t, issue(t, r.ca, change))
}

func (r *rig) showPair(t *testing.T, pair testca.Pair) {
	t.Helper()
	r.Core.CertFile = r.file(t, "tls.crt", pair.Certificate)
	r.Core.KeyFile = r.file(t, "tls.key", pair.Key)
}

func (r *rig) showToken(t *testing.T, audience string, issued, expires time.Time) {
	t.Helper()
	payload := fmt.Sprintf(`{"aud":[%q],"iat":%d,"exp":%d}`, audience, issued.Unix(), expires.Unix())
	r.Core.TokenFile = r.file(t, "token", []byte("needle-header."+base64.RawURLEncoding.EncodeToString([]byte(payload))+".needle-signature\n"))
}

// mountVolume replaces the volume of the pod "uid".
func (r *rig) mountVolume(t *testing.T, confirmed time.Time, manifest layout.Manifest) {
	t.Helper()
	target := filepath.Join(r.PodsDir, "uid", "volumes", "kubernetes.io~csi", "leoflow", "mount")
	require.NoError(t, os.MkdirAll(filepath.Dir(target), 0o750))
	require.NoError(t, mount.Unmount(target))
	_, err := new(mount.Mounter).Mount(target, mount.Options{SizeBytes: 1 << 20})
	require.NoError(t, err)
	manifest.Fetched = confirmed
	content := mount.Content{Manifest: manifest, Mode: 0o440}
	for _, entry := range manifest.Entries {
		content.Entries = append(content.Entries, mount.Entry{Entry: entry})
	}
	_, err = mount.Write(target, content)
	require.NoError(t, err)
}

func newAuthority(t *testing.T) *testca.Authority {
	t.Helper()
	authority, err := testca.New("authority")
	require.NoError(t, err)
	return authority
}

// issue signs a certificate that is good on both ends of a connection, but for change.
func issue(t *testing.T, authority *testca.Authority, change func(*x509.Certificate)) testca.Pair {
	t.Helper()
	pair, err := authority.Issue("end", change)
	require.NoError(t, err)
	return pair
}

// complaints are the lines about what is not well, each "state check: detail → remedy".
func complaints(findings []Finding) string {
	var lines strings.Builder
	for _, f := range findings {
		if f.State == Warning || f.State == Failed {
			fmt.Fprintf(&lines, "%s %s: %s → %s\n", f.State, f.Check, f.Detail, f.Remedy)
		}
	}
	return lines.String()
}
