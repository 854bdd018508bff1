package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/test/stack"
)

// clouded gives a pod the identity of a service account at the cloud, and has it ask for a
// connection that refers there.
func (n *node) clouded(tokens *cloudtest.Tokens, pod stack.Pod, account string) stack.Pod {
	n.api.Annotate(pod.Namespace, account, map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/" + account})
	for audience, text := range tokens.Pod(pod.Namespace, account, cloudtest.AWSTokenAudience).CloudTokens {
		pod.CloudTokens[audience] = text.Reveal()
	}
	pod.ServiceAccount = account
	pod.Attributes["connections"] = "s3"
	return pod
}

// TestASilentCloud has the token exchange of one tenant's service accounts never answer.
func TestASilentCloud(t *testing.T) {
	const accounts = 96 // each asks for one session, and a cloud is asked 64 things at once
	begin(t)
	tokens := cloudtest.NewTokens()
	amazon := cloudtest.StartAWS(t, tokens)
	amazon.Hold(func(string, string, string) (string, error) {
		return `{"aws_access_key_id":"AKIA","aws_secret_access_key":"k"}`, nil
	})
	ended := make(chan struct{})
	var kept atomic.Int64
	amazon.MayAssume = func(subject, _ string) bool {
		if strings.HasPrefix(subject, evil+"/") {
			kept.Add(1)
			<-ended
		}
		return true
	}
	t.Cleanup(func() { close(ended) })
	ca := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(ca, amazon.Certificate(), 0o600))
	held := func(key string) map[string]any {
		return map[string]any{"conn_type": "aws", "extra": map[string]any{"key_secret_name": key}}
	}
	n := newNode(t, options{
		connections: map[string]any{"s3": held("s3-key")},
		driverArgs: []string{
			"--clouds=aws", "--cloud-ca=" + ca, "--aws-region=eu-west-1",
			"--aws-endpoint=" + amazon.URL(), "--aws-sts-endpoint=" + amazon.URL(),
		},
	})
	row := n.row("one tenant's secret manager is silent", "96 pods of as many service accounts that start, and come back", "core")
	var honest []stack.Pod
	for i := range 100 { // identities that the driver has no session of yet
		honest = append(honest, n.clouded(tokens, n.pod(t, bank, fmt.Sprint("honest-", i), "core", shared), fmt.Sprint("account-", i)))
	}
	row.quiet = n.startPods(t, *length/2, honest[:len(honest)/2])
	n.attack(t, "pods", n.kubelet(n.pods(t, accounts, evil, "core", shared, func(i int, pod *stack.Pod) {
		*pod = n.clouded(tokens, *pod, fmt.Sprint("account-", i))
	})))
	require.Eventually(t, func() bool { return kept.Load() >= 32 }, 20*time.Second, 10*time.Millisecond, "until it has half of the calls")
	row.note("%d of its calls waited for an answer when honest starts began", kept.Load())
	row.beside = n.startPods(t, *length, honest[len(honest)/2:])
	t.Logf("%d calls were kept waiting", kept.Load())
	assert.Zero(t, n.running(n.pods(t, accounts, evil, "core", shared, nil)), "the attack is one")
	row.record(t)
}
