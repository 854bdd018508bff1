package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/kube"
	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is the API server with a clock that a test moves.
type cluster struct {
	mu      sync.Mutex
	now     time.Time
	objects map[string]held
	away    error
	// before is called ahead of each write, as if another replica were faster.
	before func()
}

type held struct {
	version int
	data    map[string][]byte
}

var (
	keysAt   = Object{"leoflow", "core-authority"}
	trustAt  = Object{"drivers", "core-ca"}
	formerAt = Object{"leoflow", "core-certificate"}
	names    = []string{"core.leoflow.svc", "core.leoflow.svc.cluster.local"}
	begin    = time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
)

func newCluster() *cluster {
	return &cluster{now: begin, objects: map[string]held{
		secrets + "/" + keysAt.String(): {version: 1}, configMaps + "/" + trustAt.String(): {version: 1},
	}}
}

func (c *cluster) Get(_ context.Context, resource, namespace, name string) (version string, data map[string][]byte, at time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.objects[resource+"/"+namespace+"/"+name]
	switch {
	case c.away != nil:
		return "", nil, time.Time{}, c.away
	case !ok:
		return "", nil, time.Time{}, fs.ErrNotExist
	}
	return fmt.Sprint(found.version), maps.Clone(found.data), c.now, nil
}

func (c *cluster) Put(_ context.Context, resource, namespace, name, version string, data map[string][]byte) (bool, error) {
	if before := c.before; before != nil {
		c.before = nil
		before()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := resource + "/" + namespace + "/" + name
	found, ok := c.objects[key]
	switch {
	case c.away != nil:
		return false, c.away
	case !ok:
		return false, fs.ErrNotExist
	case version != fmt.Sprint(found.version):
		return false, nil
	}
	merged := map[string][]byte{}
	maps.Copy(merged, found.data)
	maps.Copy(merged, data)
	c.objects[key] = held{found.version + 1, merged}
	return true, nil
}

// edit is what somebody does by hand.
func (c *cluster) edit(resource string, object Object, change func(data map[string][]byte)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := resource + "/" + object.String()
	data := map[string][]byte{}
	maps.Copy(data, c.objects[key].data)
	change(data)
	c.objects[key] = held{c.objects[key].version + 1, data}
}

func (c *cluster) data(resource string, object Object) map[string][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.objects[resource+"/"+object.String()].data)
}

func (c *cluster) pass(time time.Duration) { c.now = c.now.Add(time) }

// The fake and the real client of a server that answers as Kubernetes does are alike.
func TestObjects(t *testing.T) {
	server, err := kubetest.Start()
	require.NoError(t, err)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, server.Kubeconfig(), 0o600))
	config, err := kube.Config(file)
	require.NoError(t, err)
	real, err := kube.NewObjects(config)
	require.NoError(t, err)
	server.Put(secrets, keysAt.Namespace, keysAt.Name, nil)
	server.Put(configMaps, trustAt.Namespace, trustAt.Name, nil)
	fake := newCluster()
	fake.now = time.Now()

	for name, objects := range map[string]Objects{"fake": fake, "real": real} {
		for resource, object := range map[string]Object{secrets: keysAt, configMaps: trustAt} {
			t.Run(name+" "+resource, func(t *testing.T) {
				first, data, at, err := objects.Get(t.Context(), resource, object.Namespace, object.Name)
				require.NoError(t, err)
				assert.Empty(t, data)
				assert.WithinDuration(t, time.Now(), at, time.Minute)
				done, err := objects.Put(t.Context(), resource, object.Namespace, object.Name, first, map[string][]byte{"a": []byte("1\n"), "b": []byte("2")})
				require.NoError(t, err)
				assert.True(t, done)
				done, err = objects.Put(t.Context(), resource, object.Namespace, object.Name, first, map[string][]byte{"a": []byte("lost")})
				require.NoError(t, err)
				assert.False(t, done, "somebody was faster")
				second, _, _, err := objects.Get(t.Context(), resource, object.Namespace, object.Name)
				require.NoError(t, err)
				_, err = objects.Put(t.Context(), resource, object.Namespace, object.Name, second, map[string][]byte{"b": []byte("3")})
				require.NoError(t, err)
				_, data, _, err = objects.Get(t.Context(), resource, object.Namespace, object.Name)
				require.NoError(t, err)
				assert.Equal(t, map[string][]byte{"a": []byte("1\n"), "b": []byte("3")}, data)
				_, _, _, err = objects.Get(t.Context(), resource, object.Namespace, "absent")
				require.ErrorIs(t, err, fs.ErrNotExist)
				_, err = objects.Put(t.Context(), resource, object.Namespace, "absent", "", nil)
				require.ErrorIs(t, err, fs.ErrNotExist)
			})
		}
	}
}

var errAway = errors.New("the API server cannot be reached")

// replica is a core.
type replica struct {
	*Keeper
	t   *testing.T
	log *bytes.Buffer
}

func newReplica(t *testing.T, c *cluster, changes ...func(*Config)) *replica {
	log := &bytes.Buffer{}
	config := Config{
		Objects: c, Secret: keysAt, Trust: trustAt, Former: formerAt, Names: names,
		Log: slog.New(slog.NewTextHandler(log, nil)), Now: func() time.Time { return c.now },
	}
	for _, change := range changes {
		change(&config)
	}
	t.Cleanup(func() { assert.NotContains(t, log.String(), "PRIVATE", "in the log") })
	return &replica{NewKeeper(config), t, log}
}

func started(t *testing.T, c *cluster, changes ...func(*Config)) *replica {
	t.Helper()
	made := newReplica(t, c, changes...)
	require.NoError(t, made.Start(t.Context()))
	return made
}

// look is what Run does each minute.
func (r *replica) look() (isNew bool) {
	isNew, err := r.Keeper.look(r.t.Context())
	r.tell(err)
	return isNew
}

func (r *replica) leaf() *x509.Certificate {
	chain, key := r.Pair()
	pair, err := tls.X509KeyPair(chain, []byte(key.Reveal()))
	require.NoError(r.t, err)
	return pair.Leaf
}

// trusts is what a driver with that file and clock does.
func trustsLeaf(bundle []byte, leaf *x509.Certificate, now time.Time) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return errors.New("no certificate to trust")
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: names[0], Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

func (r *replica) assertTrusted(c *cluster) {
	r.t.Helper()
	assert.NoError(r.t, trustsLeaf(c.data(configMaps, trustAt)[trustKey], r.leaf(), c.now))
}

func certificatesIn(t *testing.T, bundle []byte) []*x509.Certificate {
	t.Helper()
	found, err := readAnchors(bundle)
	require.NoError(t, err)
	return found
}

// body is what PEM holds of a key, as text that is nowhere else.
func body(t *testing.T, text []byte) string {
	t.Helper()
	block, _ := pem.Decode(text)
	require.NotNil(t, block)
	return base64.StdEncoding.EncodeToString(block.Bytes)[:40]
}

func lines(text string) int { return strings.Count(text, "\n") }

func withCancel(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

// canceledSoon is for a start that is to give up at once.
func canceledSoon(t *testing.T) context.Context {
	ctx, cancel := withCancel(t)
	cancel()
	return ctx
}
