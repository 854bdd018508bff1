package auth

import (
	"context"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestEitherSendsATokenToWhoCanCheckIt(t *testing.T) {
	c := startCluster(t)
	either := Either{Tasks: newTokens(t), Pods: podsOf(c.cluster, 0)}
	who, err := either.Authenticate(t.Context(), sign(t, jwt.SigningMethodHS256, goodClaims(), []byte(key)))
	require.NoError(t, err)
	assert.Equal(t, caller, who)
	assert.Zero(t, c.Calls(), "Kubernetes never sees a task instance's token")

	who, err = either.Authenticate(t.Context(), c.sign(t, nil))
	require.NoError(t, err)
	assert.Equal(t, pod, who)
	assert.Equal(t, 1, c.Calls())
}

// A token that says it is of one sort and is of the other is refused by those it said.
func TestEitherRefuses(t *testing.T) {
	reviews := 0
	either := Either{Tasks: newTokens(t), Pods: podsOf(
		reviewed(func(context.Context, secret.Text, string) (authenticationv1.TokenReviewStatus, error) {
			reviews++
			return authenticationv1.TokenReviewStatus{}, nil
		}), 0)}
	asPod := jwt.MapClaims{"iss": "https://kubernetes.default.svc", "aud": PodAudience, "sub": "system:serviceaccount:team-a:worker", "exp": time.Now().Add(time.Hour).Unix()}
	for name, row := range map[string]struct {
		token    secret.Text
		reviewed int
		message  string
	}{
		"none":                      {secret.Text{}, 0, "there is none"},
		"not a JWT":                 {secret.New("n33dle"), 0, "it is not a JWT"},
		"a pod's by HMAC":           {sign(t, jwt.SigningMethodHS256, asPod, []byte(key)), 0, "its aud is not leoflow-agent"},
		"a task's by HS512":         {sign(t, jwt.SigningMethodHS512, goodClaims(), []byte(key)), 0, "it is not signed with core's key by HS256"},
		"a task's by nobody":        {sign(t, jwt.SigningMethodNone, goodClaims(), jwt.UnsafeAllowNoneSignatureType), 0, "its aud is not leoflow-core; name that in the tokenRequests of the CSIDriver, or without a driver as the audience of the projected token"},
		"a pod's by nobody":         {sign(t, jwt.SigningMethodNone, asPod, jwt.UnsafeAllowNoneSignatureType), 1, "Kubernetes does not accept it: it is another cluster's, or its pod or service account is gone"},
		"a task's with a pod's aud": {sign(t, jwt.SigningMethodHS256, jwt.MapClaims{"iss": "leoflow", "aud": PodAudience, "sub": "s", "tenant_id": "t", "exp": noon.Add(time.Hour).Unix()}, []byte(key)), 0, "its aud is not leoflow-agent"},
		"a task's that is not good": {sign(t, jwt.SigningMethodHS256, jwt.MapClaims{"exp": "n33dle"}, []byte(key)), 0, "its exp is not a number of seconds since 1970, up to the year 9999"},
	} {
		reviews = 0
		who, err := either.Authenticate(t.Context(), row.token)
		assert.ErrorIs(t, err, ErrRefused, name)
		assert.EqualError(t, err, "token refused: "+row.message, name)
		assert.Zero(t, who, name)
		assert.Equal(t, row.reviewed, reviews, name)
	}
}

func FuzzShape(f *testing.F) {
	f.Add("n33dle")
	f.Add("a.b.c")
	f.Add(sign(f, jwt.SigningMethodHS256, goodClaims(), []byte(key)).Reveal())
	f.Add(`eyJhbGciOjF9.e30.`)
	f.Add(`eyJhbGciOiJub25lIn0.eyJleHAiOjFlMzB9.`)
	f.Fuzz(func(_ *testing.T, text string) {
		if shape, known := shapeOf(secret.New(text)); known {
			_, _, _ = shape.isTask(), shape.isExpired(), shape.expires()
		}
	})
}
