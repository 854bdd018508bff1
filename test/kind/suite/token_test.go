package suite

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
)

// taskToken is what a core mints for one task instance: by 'core token', as anybody can.
func (p *product) taskToken(ctx context.Context) (string, error) {
	command := exec.CommandContext(ctx, "go", "-C", "../../..", "run", "./cmd/core", "token", "--tenant=acme", "--dag=billing")
	command.Env = append(command.Environ(), "LEOFLOW_JWT_KEY="+p.JWTKey)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("minting a token: %w: %s", err, stderr.String())
	}
	return strings.TrimSpace(string(output)), nil
}

func TestTaskTokenFromSecret(t *testing.T) {
	s := begin(t)
	token, err := s.product.taskToken(s.Ctx)
	require.NoError(t, err)
	_, err = s.Client.CoreV1().Secrets(s.Namespace).Create(s.Ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "task-token"}, StringData: map[string]string{"token": token},
	}, metav1.CreateOptions{})
	require.NoError(t, err)

	wants := attributes{"connections": "billing"}
	s.Create(task("without", wants, stays))
	s.event("without", `connection "billing" is denied to service account `)
	with := task("with", wants, stays)
	with.Spec.Volumes[0].CSI.NodePublishSecretRef = &corev1.LocalObjectReference{Name: "task-token"}
	s.Run(with, await.IsReady)
	assert.Equal(t, s.product.entries.connections["billing"], s.read("with", "connections/billing"))
}
