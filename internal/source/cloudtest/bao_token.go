package cloudtest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func (b *Bao) publicKey() string {
	der, err := x509.MarshalPKIXPublicKey(&b.key.PublicKey)
	require.NoError(b.t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// Token signs a service account's token as an API server does.
func (b *Bao) Token(namespace, account, audience string, lasting time.Duration) secret.Text {
	b.t.Helper()
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:" + namespace + ":" + account, "aud": []string{audience},
		"iat": now.Add(-time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(lasting).Unix(), "jti": rand.Text(),
		"kubernetes.io": map[string]any{"namespace": namespace, "serviceaccount": map[string]string{"name": account, "uid": "uid-" + account}},
	})
	signed, err := token.SignedString(b.key)
	require.NoError(b.t, err)
	return secret.New(signed)
}

// Pod is a pod of a service account, with its token.
func (b *Bao) Pod(namespace, account string) provider.Identity {
	b.t.Helper()
	return provider.Identity{Namespace: namespace, ServiceAccount: account, PodUID: rand.Text(),
		CloudTokens: map[string]secret.Text{BaoAudience: b.Token(namespace, account, BaoAudience, time.Hour)}}
}

// ReviewBy has the auth method kubernetes ask a server that knows these tokens alone, and returns
// the audiences that it was asked for.
func (b *Bao) ReviewBy(tokens map[string][2]string) (audiences func() []string) {
	b.t.Helper()
	var mu sync.Mutex
	var asked []string
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			Spec struct {
				Token     string   `json:"token"`
				Audiences []string `json:"audiences"`
			} `json:"spec"`
		}
		_ = json.NewDecoder(r.Body).Decode(&review)
		mu.Lock()
		asked = append(asked, review.Spec.Audiences...)
		mu.Unlock()
		status := map[string]any{"authenticated": false}
		if account, known := tokens[review.Spec.Token]; known {
			status = map[string]any{"authenticated": true, "audiences": review.Spec.Audiences, "user": map[string]any{
				"username": "system:serviceaccount:" + account[0] + ":" + account[1], "uid": "uid-" + account[1],
				"groups": []string{"system:serviceaccounts", "system:serviceaccounts:" + account[0], "system:authenticated"},
			}}
		}
		w.WriteHeader(http.StatusCreated)
		answer(w, map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status})
	}))
	b.t.Cleanup(api.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw}))
	b.Do(http.MethodPost, "sys/auth/kubernetes", map[string]any{"type": "kubernetes"})
	b.Do(http.MethodPost, "auth/kubernetes/config", map[string]any{
		"kubernetes_host": api.URL, "kubernetes_ca_cert": ca, "token_reviewer_jwt": b.Token("kube-system", "reviewer", "api", time.Hour).Reveal(), "disable_local_ca_jwt": true,
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(asked)
	}
}
