package fault

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/test/stack"
)

const (
	podsPerRig      = 5
	entriesPerPod   = 10
	convergeTimeout = 90 * time.Second
	allowAll        = "rules: [{tenants: ['*'], dags: ['*'], connections: ['*'], variables: ['*']}, {namespaces: ['*'], serviceAccounts: ['*'], connections: ['*'], variables: ['*']}]\n"
)

// rig is a node with live pods whose volumes are read all the time.
type rig struct {
	*stack.Stack
	pods   []stack.Pod
	reader *reader
	// mark is in every value that core serves now.
	mark int
}

func newRig(t *testing.T, driverArgs ...string) *rig {
	t.Helper()
	return newRigFrom(t, stack.Options{Bin: binaries(t), DriverArgs: driverArgs})
}

func newRigFrom(t *testing.T, options stack.Options) *rig {
	t.Helper()
	return newRigOf(t, options, "*")
}

// newRigOf has pods that ask for these connections, changed before they start.
func newRigOf(t *testing.T, options stack.Options, asked string, change ...func(*stack.Pod)) *rig {
	t.Helper()
	options.Connections, options.Variables, options.Rules = connections(1), "{}", allowAll
	// The stack outlives the test's context, which ends before the clean-up.
	s, err := stack.Start(context.Background(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	r := &rig{Stack: s, mark: 1}
	tokens := r.tokens(t, time.Hour)
	for i := range podsPerRig {
		r.pods = append(r.pods, pod(fmt.Sprint("live-", i), tokens[i]))
		r.pods[i].Attributes = map[string]string{"connections": asked}
		for _, change := range change {
			change(&r.pods[i])
		}
		require.NoError(t, s.Kubelet.Publish(t.Context(), r.pods[i]))
	}
	r.reader = startReader(t, r)
	return r
}

// tokens are one for each pod.
func (r *rig) tokens(t *testing.T, ttl time.Duration) []string {
	t.Helper()
	tokens, err := r.Tokens(podsPerRig, auth.Caller{Tenant: "acme", DAG: "daily"}, ttl)
	require.NoError(t, err)
	return tokens
}

func pod(name, token string) stack.Pod {
	return stack.Pod{
		Name: name, UID: "uid-" + name, Namespace: "airflow", ServiceAccount: "etl", Token: token,
		Attributes: map[string]string{"connections": "*"},
	}
}

// connections are ten, each with the mark for a password, and changed.
func connections(mark int, change ...func(all map[string]any)) string {
	all := map[string]any{}
	for i := range entriesPerPod {
		all["conn_"+strconv.Itoa(i)] = map[string]any{"conn_type": "postgres", "host": "db", "login": "etl", "password": strconv.Itoa(mark)}
	}
	for _, change := range change {
		change(all)
	}
	text, _ := json.Marshal(all)
	return string(text)
}

// first is the entry that is broken and withdrawn.
const first = "conn_0"

func broken(all map[string]any) { all[first] = map[string]any{"conn_type": "postgres", "port": "none"} }

func without(all map[string]any) { delete(all, first) }

// rotate has core serve the next mark, as soon as core can.
func (r *rig) rotate(t *testing.T, change ...func(all map[string]any)) {
	t.Helper()
	r.mark++
	r.reader.allow(r.mark)
	require.NoError(t, r.WriteConnections(connections(r.mark, change...)))
}

// republish is what kubelet does about once a minute. It must never fail: a kubelet
// before 1.37 would break the pod.
func (r *rig) republish(t *testing.T, row *row) {
	t.Helper()
	for _, p := range r.pods {
		if err := r.Kubelet.Publish(t.Context(), p); err != nil {
			row.restarted++
			assert.NoError(t, err)
		}
	}
}

// converge waits until every live volume shows the mark, and notes how long that took.
func (r *rig) converge(t *testing.T, row *row) {
	t.Helper()
	began := time.Now()
	row.times++
	lost := r.reader.await(r.mark, convergeTimeout)
	row.lost += lost
	assert.Zero(t, lost, "volumes that never came to the newest values\n%s", r.NodeOutput())
	row.converged = append(row.converged, time.Since(began))
	for _, p := range r.pods {
		mounted, err := mount.IsMounted(r.Kubelet.Target(p))
		if err != nil || !mounted {
			row.restarted++
			assert.Fail(t, "a live volume is not mounted any more")
		}
	}
}

// pause lets a fault last. It is the length of the fault, and not a wait for anything.
func pause(t *testing.T, length time.Duration) {
	t.Helper()
	select {
	case <-time.After(length):
	case <-t.Context().Done():
	}
}
