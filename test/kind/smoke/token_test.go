package smoke

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// audience is the one that core takes tokens for.
const audience = "leoflow-core"

func TestProjectedTokenIsReviewedForItsAudience(t *testing.T) {
	c := connect(t)
	pod := c.Run(withToken(clustertest.Script("bearer", "exec sleep 3600")), await.IsReady)
	token := strings.TrimSpace(c.Exec("bearer", "cat", "/token/token"))

	status := review(c, token, audience)
	require.True(t, status.Authenticated, status.Error)
	assert.Equal(t, "system:serviceaccount:"+c.Namespace+":default", status.User.Username)
	assert.Equal(t, []string{audience}, status.Audiences)
	assert.Equal(t, authenticationv1.ExtraValue{"bearer"}, status.User.Extra["authentication.kubernetes.io/pod-name"])
	assert.Equal(t, authenticationv1.ExtraValue{string(pod.UID)}, status.User.Extra["authentication.kubernetes.io/pod-uid"])

	assert.False(t, review(c, token, "another").Authenticated)
	assert.False(t, review(c, token[:len(token)-8]+"forgedAA", audience).Authenticated)
}

func withToken(pod *corev1.Pod) *corev1.Pod {
	pod.Spec.Volumes = []corev1.Volume{{
		Name: "token",
		VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{
				ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: audience, Path: "token"},
			}},
		}},
	}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "token", MountPath: "/token", ReadOnly: true}}
	return pod
}

func review(c *clustertest.Cluster, token, audience string) authenticationv1.TokenReviewStatus {
	c.Helper()
	review, err := c.Client.AuthenticationV1().TokenReviews().Create(c.Ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}},
	}, metav1.CreateOptions{})
	require.NoError(c, err)
	return review.Status
}
