package cloudtest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testca"
	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

const (
	// BaoAudience is that of pods' tokens for Bao.
	BaoAudience = "vault"
	baoRoot     = "root-of-a-test"
)

// Bao is a real OpenBao behind a server with TLS, which counts the requests and can spoil them.
type Bao struct {
	front
	t     testing.TB
	plain string
	// own is OpenBao's own listener with TLS, and ca has signed its certificate.
	own string
	ca  *testca.Authority
	key *ecdsa.PrivateKey
	// log is what OpenBao writes, its unseal key among it.
	log string

	mu    sync.Mutex
	fault func(r *http.Request) *Fault
	asked []string
}

// StartBao serves until the test ends. Its auth method jwt takes the tokens that Token signs.
func StartBao(t testing.TB) *Bao {
	t.Helper()
	testneed.Program(t, "bao")
	address, err := testport.Free()
	require.NoError(t, err)
	b := &Bao{t: t, plain: "http://" + address, fault: func(*http.Request) *Fault { return nil }}
	b.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	b.run(address, b.listener())
	target, _ := url.Parse(b.plain)
	proxy := httputil.NewSingleHostReverseProxy(target)
	behind := &http.Transport{MaxIdleConnsPerHost: 64} // or most of what is asked at once would wait for a connection
	t.Cleanup(behind.CloseIdleConnections)
	proxy.Transport = behind
	b.tls = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.serve(w, r, proxy) }))
	b.tls.EnableHTTP2 = true // as Vault does
	b.tls.StartTLS()
	t.Cleanup(b.Stop)
	b.Do(http.MethodPost, "sys/auth/jwt", map[string]any{"type": "jwt"})
	b.Do(http.MethodPost, "auth/jwt/config", map[string]any{"jwt_validation_pubkeys": []string{b.publicKey()}})
	b.Do(http.MethodPost, "sys/mounts/kv1", map[string]any{"type": "kv", "options": map[string]string{"version": "1"}})
	return b
}

// listener writes the configuration of a listener with TLS, which a server for development has beside its own.
func (b *Bao) listener() (file string) {
	address, err := testport.Free()
	require.NoError(b.t, err)
	b.own = "https://" + address
	b.ca, err = testca.New("the store's CA")
	require.NoError(b.t, err)
	pair, err := b.ca.Issue("openbao")
	require.NoError(b.t, err)
	dir := b.t.TempDir()
	certificate, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	require.NoError(b.t, os.WriteFile(certificate, pair.Certificate, 0o600))
	require.NoError(b.t, os.WriteFile(key, pair.Key, 0o600))
	text, err := json.Marshal(map[string]any{"listener": []any{map[string]any{"tcp": map[string]string{
		"address": address, "tls_cert_file": certificate, "tls_key_file": key,
	}}}})
	require.NoError(b.t, err)
	file = filepath.Join(dir, "listener.json")
	require.NoError(b.t, os.WriteFile(file, text, 0o600))
	return file
}

func (b *Bao) run(address, config string) {
	command := exec.Command("bao", "server", "-dev", "-dev-no-store-token", "-dev-root-token-id="+baoRoot, "-dev-listen-address="+address, "-config="+config) //nolint:noctx // it lives as long as the test
	log, err := os.Create(filepath.Join(b.t.TempDir(), "bao.log"))
	require.NoError(b.t, err)
	b.log = log.Name()
	command.Stdout, command.Stderr, command.SysProcAttr = log, log, testneed.Child()
	require.NoError(b.t, command.Start())
	b.t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		_ = log.Close()
	})
	// The engine at secret is made after the server answers, and refuses everything by 400 until it is of version 2.
	ctx := testwait.Context(b.t)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if response, err := b.request(ctx, http.MethodGet, "secret/config", nil); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				tick.Stop()
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			said, _ := os.ReadFile(log.Name())
			require.Fail(b.t, "OpenBao does not answer", "%s", said)
		}
	}
}

func (b *Bao) request(ctx context.Context, method, path string, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, b.plain+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Vault-Token", baoRoot)
	return http.DefaultClient.Do(request)
}

// Do asks as root, past the front.
func (b *Bao) Do(method, path string, body any) map[string]any {
	b.t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	response, err := b.request(testwait.Context(b.t), method, path, body)
	require.NoError(b.t, err)
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	require.Less(b.t, response.StatusCode, 300, "%s %s: %s", method, path, said)
	var answered map[string]any
	if len(said) > 0 {
		require.NoError(b.t, json.Unmarshal(said, &answered))
	}
	return answered
}

// Put writes a secret into a mount of the second version.
func (b *Bao) Put(path string, data any) {
	b.t.Helper()
	b.Do(http.MethodPost, "secret/data/"+path, map[string]any{"data": data})
}

// Seal seals OpenBao, and Unseal unseals it.
func (b *Bao) Seal() {
	b.t.Helper()
	b.Do(http.MethodPost, "sys/seal", nil)
}

// Unseal uses the key that a server for development writes into its log.
func (b *Bao) Unseal() {
	b.t.Helper()
	said, err := os.ReadFile(b.log)
	require.NoError(b.t, err)
	_, after, found := strings.Cut(string(said), "Unseal Key: ")
	require.True(b.t, found, "%s", said)
	key, _, _ := strings.Cut(after, "\n")
	unsealed := b.Do(http.MethodPost, "sys/unseal", map[string]string{"key": strings.TrimSpace(key)})
	require.Equal(b.t, false, unsealed["sealed"])
}

// Policy makes or changes a policy.
func (b *Bao) Policy(name, text string) {
	b.t.Helper()
	b.Do(http.MethodPost, "sys/policies/acl/"+name, map[string]any{"policy": text})
}

// Role makes a role of the auth method jwt for service accounts, as NAMESPACE:NAME.
func (b *Bao) Role(name, policy string, options map[string]any, accounts ...string) {
	b.t.Helper()
	subjects := make([]string, len(accounts))
	for i, account := range accounts {
		subjects[i] = "system:serviceaccount:" + account
	}
	role := map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{BaoAudience}, "token_policies": []string{policy},
		"bound_claims": map[string]any{"sub": subjects},
	}
	for name, value := range options {
		role[name] = value
	}
	b.Do(http.MethodPost, "auth/jwt/role/"+name, role)
}

func (b *Bao) serve(w http.ResponseWriter, r *http.Request, to http.Handler) {
	b.mu.Lock()
	b.asked = append(b.asked, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/v1/"))
	fault := b.fault(r)
	b.mu.Unlock()
	if fault != nil {
		spoil(w, r, *fault)
		return
	}
	to.ServeHTTP(w, r)
}

// Break decides from now on how each request goes wrong; nil lets it go on.
func (b *Bao) Break(fault func(r *http.Request) *Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = fault
}

// Mend ends what Break began.
func (b *Bao) Mend() { b.Break(func(*http.Request) *Fault { return nil }) }

// Asked are the requests so far whose method and path begin so.
func (b *Bao) Asked(begin string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.asked), func(one string) bool { return !strings.HasPrefix(one, begin) })
}

// Plain is OpenBao's own, without TLS.
func (b *Bao) Plain() string { return b.plain }

// Own is where OpenBao itself listens with TLS, and who has signed its certificate: nobody counts or spoils there.
func (b *Bao) Own() (url string, ca *testca.Authority) { return b.own, b.ca }

// Kwargs are backend_kwargs for the front, by the auth method jwt, with more of them or others.
func (b *Bao) Kwargs(role string, more map[string]any) string {
	b.t.Helper()
	kwargs := map[string]any{"url": b.URL(), "auth_type": "jwt"}
	if role != "" {
		kwargs["jwt_role"] = role
	}
	for name, value := range more {
		kwargs[name] = value
	}
	text, err := json.Marshal(kwargs)
	require.NoError(b.t, err)
	return string(text)
}
