package attack

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/test/stack"
)

// The chart's limits.
const (
	driverMemory  = 256 << 20
	fetcherMemory = 256 << 20
	coreMemory    = 128 << 20
)

// Tenants: bank is the honest one, evil attacks.
const (
	bank = "bank"
	evil = "evil"
)

const (
	allowAll = "rules: [{tenants: ['*'], dags: ['*'], connections: ['*'], variables: ['*']}]\n"
	// shared is the variable that every tenant's core and Secrets have.
	shared = "region"
)

// node is a node with the real driver, fetcher and core, each with the chart's limit, and a stand-in for
// the API server.
type node struct {
	*stack.Stack
	api                   *kubetest.Server
	driver, fetcher, core group
	token                 string
	attackers             int
}

// options are what a test has of its own.
type options struct {
	// connections are core's, and variables those besides the one that all share.
	connections, variables map[string]any
	// driverArgs and coreArgs are added to the command lines.
	driverArgs, coreArgs []string
	// coreMemory is core's limit where it is not the chart's.
	coreMemory int64
	// api is another server than a new one.
	api *kubetest.Server
}

func newNode(t *testing.T, o options) *node {
	t.Helper()
	begin(t)
	n := &node{
		api: o.api, driver: memoryGroup(t, "driver", driverMemory), fetcher: memoryGroup(t, "fetcher", fetcherMemory),
		core: memoryGroup(t, "core", cmp.Or(o.coreMemory, coreMemory)),
	}
	if n.api == nil {
		n.api = startAPI(t)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, n.api.Kubeconfig(), 0o600))
	variables := map[string]any{shared: "eu"}
	for key, value := range o.variables {
		variables[key] = value
	}
	content, err := json.Marshal(variables)
	require.NoError(t, err)
	connections, err := json.Marshal(o.connections)
	require.NoError(t, err)
	if o.connections == nil {
		connections = []byte("{}")
	}
	// The stack outlives the test's context, which ends before the clean-up.
	n.Stack, err = stack.Start(context.Background(), stack.Options{
		Bin: binaries(t), Connections: string(connections), Variables: string(content), Rules: allowAll,
		CoreUnder: under(n.core), DriverUnder: under(n.driver), FetcherUnder: under(n.fetcher), CoreArgs: o.coreArgs,
		DriverArgs: append([]string{"--kubernetes-secrets", "--events", "--kubeconfig=" + kubeconfig}, o.driverArgs...),
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, n.Close()) })
	n.token, err = n.Token(t.Context(), "--tenant=acme", "--dag=daily", "--ttl=24h")
	require.NoError(t, err)
	return n
}

// startAPI has a Secret of the honest tenant's.
func startAPI(t *testing.T) *kubetest.Server {
	t.Helper()
	api, err := kubetest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { api.CloseClientConnections(); api.Close() })
	store(api, bank, shared, "eu")
	return api
}

// store has the API server keep a variable of a namespace's.
func store(api *kubetest.Server, namespace, key, value string) {
	api.Store("etl", corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "variable-" + key, Labels: map[string]string{"secrets.csi.leoflow.io/kind": "variable"}},
		Data:       map[string][]byte{"value": []byte(value)},
	})
}

// pod is one of a tenant's that asks a source for variables.
func (n *node) pod(t *testing.T, namespace, name, source, variables string) stack.Pod {
	t.Helper()
	uid := namespace + "-" + name
	signed, err := n.api.Sign(kubetest.Token{
		Namespace: namespace, ServiceAccount: "etl", Pod: name, PodUID: uid,
		Audiences: []string{kubetest.Audience}, Expires: time.Now().Add(24 * time.Hour),
	})
	require.NoError(t, err)
	return stack.Pod{
		Name: name, Namespace: namespace, ServiceAccount: "etl", UID: uid, Token: n.token,
		CloudTokens: map[string]string{"": signed.Reveal()},
		Attributes:  map[string]string{"source": source, "variables": variables},
	}
}

// pods are so many of a tenant's, alike.
func (n *node) pods(t *testing.T, count int, namespace, source, variables string, change func(i int, pod *stack.Pod)) []stack.Pod {
	t.Helper()
	made := make([]stack.Pod, count)
	for i := range made {
		made[i] = n.pod(t, namespace, "pod-"+strconv.Itoa(i), source, variables)
		if change != nil {
			change(i, &made[i])
		}
	}
	return made
}

// kubelet is the orders of an attacker that has the pods of a tenant started on this node.
func (n *node) kubelet(pods []stack.Pod) podsOrders {
	return podsOrders{Socket: n.Socket(), PodsDir: n.Kubelet.PodsDir, Pods: pods, Republish: time.Minute}
}
