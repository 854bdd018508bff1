package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// forgedToken says all that a good one does, also whose key has signed it.
func (c apiServer) forgedToken(t testing.TB, id string) secret.Text {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": kubetest.Audience, "aud": PodAudience, "sub": "system:serviceaccount:team-a:worker", "jti": id,
		"exp": time.Now().Add(time.Hour).Unix(),
	})
	token.Header["kid"] = c.KeyID()
	signed, err := token.SignedString(other)
	require.NoError(t, err)
	return secret.New(signed)
}

// Forged tokens are refused here: Kubernetes hears of none, and nobody waits for any.
func TestAForgedTokenIsNoQuestion(t *testing.T) {
	c := startCluster(t)
	pods := podsOf(c.cluster, time.Minute)
	for i := range 50 {
		_, err := pods.Authenticate(t.Context(), c.forgedToken(t, fmt.Sprint(i)))
		assert.EqualError(t, err, "token refused: no key that its cluster publishes has signed it")
	}
	assert.Zero(t, c.Calls())
	assert.Equal(t, 1, c.KeyCalls())
	_, err := pods.Authenticate(t.Context(), c.sign(t, nil))
	require.NoError(t, err)
	assert.Equal(t, 1, c.Calls(), "a good one is asked about: its pod may be gone")
	assert.Equal(t, 1, c.KeyCalls())
}

// Another algorithm than the key's, and one that needs no key.
func TestAnAlgorithmOfTheTokensChoiceSignsNothing(t *testing.T) {
	c := startCluster(t)
	pods := podsOf(c.cluster, time.Minute)
	for _, row := range []struct {
		method jwt.SigningMethod
		key    any
	}{
		{jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType},
		{jwt.SigningMethodES384, must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))},
		{jwt.SigningMethodRS256, must(rsa.GenerateKey(rand.Reader, 2048))},
	} {
		token := jwt.NewWithClaims(row.method, jwt.MapClaims{"aud": PodAudience, "exp": time.Now().Add(time.Hour).Unix()})
		token.Header["kid"] = c.KeyID()
		signed, err := token.SignedString(row.key)
		require.NoError(t, err)
		_, err = pods.Authenticate(t.Context(), secret.New(signed))
		assert.ErrorIs(t, err, ErrRefused, row.method.Alg())
	}
	critical := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"aud": PodAudience})
	critical.Header["crit"] = []string{"exp"}
	signed, err := critical.SignedString(jwt.UnsafeAllowNoneSignatureType)
	require.NoError(t, err)
	_, err = pods.Authenticate(t.Context(), secret.New(signed))
	assert.EqualError(t, err, "token refused: its header has crit, and core understands nothing that may stand there")
	assert.Zero(t, c.Calls())
}

func must[K any](key K, err error) K {
	if err != nil {
		panic(err)
	}
	return key
}

func TestACoreThatMayNotReadTheKeysAsksKubernetes(t *testing.T) {
	c := startCluster(t)
	c.HideKeys()
	var log bytes.Buffer
	pods := NewPods(PodsConfig{Clusters: []Cluster{c.cluster}, Audience: PodAudience, Remember: time.Minute, Log: slog.New(slog.NewTextHandler(&log, nil))})
	_, err := pods.Authenticate(t.Context(), c.sign(t, nil))
	require.NoError(t, err)
	_, err = pods.Authenticate(t.Context(), c.forgedToken(t, "1"))
	require.ErrorIs(t, err, ErrRefused)
	assert.Equal(t, 2, c.Calls())
	assert.Equal(t, 1, c.KeyCalls())
	assert.Contains(t, log.String(), "read the keys of its tokens: bind its service account to the ClusterRole system:service-account-issuer-discovery (403)")
}

// Two clusters have pods of one name. Each token is its own cluster's, whom alone core asks.
func TestPodsOfSeveralClusters(t *testing.T) {
	a, b, stranger := startCluster(t), startCluster(t), startCluster(t)
	b.cluster.Name = "b"
	pods := NewPods(PodsConfig{Clusters: []Cluster{a.cluster, b.cluster}, Audience: PodAudience, Remember: time.Minute})
	for _, each := range []apiServer{a, b} {
		who, err := pods.Authenticate(t.Context(), each.sign(t, nil))
		require.NoError(t, err)
		expected := pod
		expected.Cluster = each.cluster.Name
		assert.Equal(t, expected, who)
	}
	_, err := pods.Authenticate(t.Context(), stranger.sign(t, nil))
	require.ErrorIs(t, err, ErrRefused)
	assert.Equal(t, []int{1, 1, 0}, []int{a.Calls(), b.Calls(), stranger.Calls()})

	// While the keys of one cannot be had, what the other has not signed is asked there.
	b.HideKeys()
	pods = NewPods(PodsConfig{Clusters: []Cluster{a.cluster, b.cluster}, Audience: PodAudience, Remember: time.Minute})
	who, err := pods.Authenticate(t.Context(), b.sign(t, nil))
	require.NoError(t, err)
	assert.Equal(t, "b", who.Cluster)
	a.HideKeys()
	pods = NewPods(PodsConfig{Clusters: []Cluster{a.cluster, b.cluster}, Audience: PodAudience, Remember: time.Minute})
	_, err = pods.Authenticate(t.Context(), b.sign(t, nil))
	require.ErrorIs(t, err, ErrUndecided)
}

// ring is a cluster whose keys a test changes.
type ring struct {
	key     *ecdsa.PrivateKey
	fetches atomic.Int64
	err     error
	delay   time.Duration
}

func (r *ring) Keys(context.Context) ([]byte, error) {
	r.fetches.Add(1)
	time.Sleep(r.delay)
	if r.err != nil {
		return nil, r.err
	}
	return setOf(r.key), nil
}

func setOf(keys ...*ecdsa.PrivateKey) []byte {
	var all []jwk
	for _, key := range keys {
		point, _ := key.PublicKey.Bytes()
		encode := base64.RawURLEncoding.EncodeToString
		all = append(all, jwk{Type: "EC", Curve: "P-256", ID: encode(point[1:9]), X: encode(point[1:33]), Y: encode(point[33:])})
	}
	text, _ := json.Marshal(map[string]any{"keys": all})
	return text
}

func (r *ring) sign(t testing.TB, id string) secret.Text {
	point, _ := r.key.PublicKey.Bytes()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"aud": PodAudience, "jti": id, "exp": time.Now().Add(24 * time.Hour).Unix()})
	token.Header["kid"] = base64.RawURLEncoding.EncodeToString(point[1:9])
	signed, err := token.SignedString(r.key)
	require.NoError(t, err)
	return secret.New(signed)
}

func (r *ring) pods() *Pods {
	return podsOf(Cluster{Keys: r, Reviewer: reviewerFunc(func(context.Context, secret.Text, string) (authenticationv1.TokenReviewStatus, error) {
		return good(), nil
	})}, time.Nanosecond)
}

func TestAnUnknownKeyCostsOneFetchAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := &ring{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
		stranger := &ring{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
		pods := known.pods()
		const minutes = 5
		for i := range minutes * 60 {
			for j := range 10 {
				_, err := pods.Authenticate(t.Context(), stranger.sign(t, fmt.Sprint(i, j)))
				require.ErrorIs(t, err, ErrRefused)
			}
			time.Sleep(time.Second)
		}
		assert.EqualValues(t, minutes, known.fetches.Load())
		_, err := pods.Authenticate(t.Context(), known.sign(t, "1"))
		require.NoError(t, err)
	})
}

// Kubernetes signs with another key, and takes the one before back: nobody waits longer than
// a minute for the first, and the second is believed ten at most.
func TestKeysAreFetchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := &ring{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
		pods := cluster.pods()
		old := cluster.sign(t, "old")
		_, err := pods.Authenticate(t.Context(), old)
		require.NoError(t, err)
		cluster.key = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		time.Sleep(keysRest)
		_, err = pods.Authenticate(t.Context(), cluster.sign(t, "new"))
		require.NoError(t, err)
		_, err = pods.Authenticate(t.Context(), old)
		require.ErrorIs(t, err, ErrRefused)

		before := cluster.fetches.Load()
		cluster.delay = time.Second
		time.Sleep(keysFresh)
		began := time.Now()
		_, err = pods.Authenticate(t.Context(), cluster.sign(t, "later"))
		require.NoError(t, err)
		assert.Zero(t, time.Since(began), "nobody waits for keys that are only old")
		time.Sleep(2 * time.Second)
		assert.Equal(t, before+1, cluster.fetches.Load())
	})
}

func TestKeysStayWhileTheyCannotBeFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := &ring{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
		pods := cluster.pods()
		_, err := pods.Authenticate(t.Context(), cluster.sign(t, "1"))
		require.NoError(t, err)
		cluster.err = errors.New("away")
		for i := range 24 {
			time.Sleep(time.Hour)
			_, err = pods.Authenticate(t.Context(), cluster.sign(t, fmt.Sprint("later", i)))
			require.NoError(t, err)
			synctest.Wait()
		}
		assert.EqualValues(t, 25, cluster.fetches.Load())
	})
}

func TestParseKeys(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 2048))
	encode := base64.RawURLEncoding.EncodeToString
	asRSA := func(n *big.Int, e string) string {
		return fmt.Sprintf(`{"keys": [{"kty": "RSA", "kid": "r", "n": %q, "e": %q}]}`, encode(n.Bytes()), e)
	}
	point := `"x": "AAAA", "y": "AAAA"`
	for name, row := range map[string]struct{ text, message string }{
		"RSA":             {asRSA(small.N, "AQAB"), ""},
		"no JSON":         {"n33dle", "it is no set of keys in JSON"},
		"none":            {`{}`, "it has no key that signs tokens"},
		"too many":        {`{"keys": [` + strings.Repeat(`{},`, mostKeys) + `{}]}`, "it has 65 keys; at most 64 are read"},
		"RSA, too small":  {asRSA(new(big.Int).Rsh(small.N, 1024), "AQAB"), "it has no key that signs tokens"},
		"RSA, too large":  {asRSA(new(big.Int).Lsh(small.N, 8192), "AQAB"), "it has no key that signs tokens"},
		"RSA, e of 1":     {asRSA(small.N, "AQ"), "it has no key that signs tokens"},
		"RSA, no base64":  {asRSA(small.N, "!"), "it has no key that signs tokens"},
		"not on a curve":  {`{"keys": [{"kty": "EC", "crv": "P-256", ` + point + `}]}`, "it has no key that signs tokens"},
		"another curve":   {`{"keys": [{"kty": "EC", "crv": "n33dle", ` + point + `}]}`, "it has no key that signs tokens"},
		"another sort":    {`{"keys": [{"kty": "oct", "k": "n33dle"}]}`, "it has no key that signs tokens"},
		"a good one, too": {strings.Replace(asRSA(small.N, "AQAB"), "[", `[{"kty": "OKP"}, `, 1), ""},
	} {
		keys, err := parseKeys([]byte(row.text))
		if row.message == "" {
			require.NoError(t, err, name)
			assert.Equal(t, &small.PublicKey, keys["r"], name)
			continue
		}
		assert.EqualError(t, err, row.message, name)
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(setOf(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))))
	f.Add([]byte(`{"keys": [{"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeys(text)
		require.Equal(t, err == nil, len(keys) > 0)
	})
}
