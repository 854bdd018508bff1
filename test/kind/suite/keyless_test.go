package suite

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

const (
	awsAudience = "sts.amazonaws.com"
	awsRole     = "arn:aws:iam::123456789012:role/etl"
)

// A real kubelet's token for AWS is in the volume, of this pod and for that audience alone, and a newer one
// is in its place once kubelet has another: under the running program, and without a generation.
func TestAKeylessPodHasATokenOfItsOwn(t *testing.T) {
	s := beginIn(t, clustertest.Space{Patience: 2 * patience})
	require.NoError(t, s.product.Upgrade(s.Ctx, map[string]any{"clouds": map[string]any{"aws": map[string]any{"enabled": true}}}))
	defer func() { assert.NoError(t, s.product.Upgrade(context.Background(), nil)) }() // the test's own context may be done
	s.annotatedAccount("keyless")

	pod := withAgent(task("keyless", attributes{"connections": "aws_default", "keyless": "aws_default"}, "exec "+agentPath+" exec -- sleep 3600"))
	pod.Spec.ServiceAccountName = "keyless"
	pod = s.Run(pod, await.IsReady)
	first := s.read("keyless", "identity/aws.token")
	status := s.reviewFor(first, awsAudience)
	require.True(t, status.Authenticated, status.Error)
	assert.Equal(t, "system:serviceaccount:"+s.Namespace+":keyless", status.User.Username)
	assert.Equal(t, authenticationv1.ExtraValue{string(pod.UID)}, status.User.Extra["authentication.kubernetes.io/pod-uid"])
	assert.False(t, s.reviewFor(first, "leoflow-core").Authenticated)
	assert.Contains(t, s.read("keyless", "identity/aws.config"), "role_arn = "+awsRole)
	environ := s.on(pod).environ(pod, "sleep")
	assert.Contains(t, environ, "AWS_ROLE_ARN="+awsRole)
	assert.Contains(t, environ, "AWS_WEB_IDENTITY_TOKEN_FILE="+mountPath+"/identity/aws.token")
	issuer := claimsOf(t, first)["iss"].(string)
	assert.Contains(t, s.Exec("keyless", agentPath, "check"), "identity at aws: a token of "+issuer+" for audience "+awsAudience)

	generation, n := s.read("keyless", "manifest.json"), s.on(pod)
	republished := n.republishedBySuccessor(pod)
	n.shell("setsid sh -c 'sleep 0.3; kill -9 $(pidof kubelet)' </dev/null >/dev/null 2>&1 &")
	require.NoError(t, await.Until(s.Ctx, republished))
	require.NoError(t, await.Until(s.Ctx, func() bool { return s.read("keyless", "identity/aws.token") != first }))
	assert.True(t, s.reviewFor(s.read("keyless", "identity/aws.token"), awsAudience).Authenticated)
	assert.Equal(t, generation, s.read("keyless", "manifest.json"))
	assert.Zero(t, s.Await("keyless", await.IsReady).Status.ContainerStatuses[0].RestartCount)
	assert.NotContains(t, s.logOfPods(*n.driver()), first)
	s.gone("keyless")
	n.awaitNothing([]string{string(pod.UID)})
}

// annotatedAccount is a service account with a role at AWS.
func (s *scenario) annotatedAccount(name string) {
	s.Helper()
	s.account(name)
	s.annotateRole(name, awsRole)
}

func (s *scenario) annotateRole(account, role string) {
	s.Helper()
	patch := []byte(`{"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "` + role + `"}}}`)
	_, err := s.Client.CoreV1().ServiceAccounts(s.Namespace).Patch(s.Ctx, account, types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(s, err)
}

func (s *scenario) reviewFor(token, audience string) authenticationv1.TokenReviewStatus {
	s.Helper()
	review, err := s.Client.AuthenticationV1().TokenReviews().Create(s.Ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}},
	}, metav1.CreateOptions{})
	require.NoError(s, err)
	return review.Status
}

// claimsOf is what a token says of itself.
func claimsOf(t *testing.T, token string) (claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &claims))
	return claims
}
