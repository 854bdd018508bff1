package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/stack"
)

// role names the variable of the environment that makes this binary an attacker, and orders the
// one with the file of its orders.
const (
	role   = "LEOFLOW_ATTACK_ROLE"
	orders = "LEOFLOW_ATTACK_ORDERS"
)

// attackerShare is the part of one CPU that an attack's process has: a test of turns is none if
// the attacker takes the machine.
const attackerShare = 0.5

// roles are what attackers do until they are told to end. An error ends them at once.
var roles = map[string]func(ctx context.Context, orders []byte) error{
	"pods": asPods,
	"core": asStranger,
}

func isAttacker() bool { return os.Getenv(role) != "" }

func attackAs() int {
	runtime.GOMAXPROCS(1)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ordered, err := os.ReadFile(os.Getenv(orders))
	if err == nil {
		err = roles[os.Getenv(role)](ctx, ordered)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "{%q:%q}\n", "attacker", err)
		return 1
	}
	return 0
}

// attack has a process of its own attack in the role until the function returned is called.
func (n *node) attack(t *testing.T, as string, with any) (end func()) {
	t.Helper()
	text, err := json.Marshal(with)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "orders.json")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	self, err := os.Executable()
	require.NoError(t, err)
	n.attackers++
	command := append(under(cpuGroup(t, fmt.Sprint(as, n.attackers), attackerShare)), "env", role+"="+as, orders+"="+file, self)
	process, err := stack.Run(command[0], command[1:]...)
	require.NoError(t, err)
	end = sync.OnceFunc(func() { assert.NoError(t, process.Stop(), process.Output()) })
	t.Cleanup(end)
	return end
}

// podsOrders are those of a kubelet with pods of one tenant.
type podsOrders struct {
	Socket, PodsDir string
	Pods            []stack.Pod
	// Republish is how long after it started a pod is published again; kubelet does so about
	// once a minute, and a pod that fails is tried again after half a second.
	Republish time.Duration
	// Restart has each pod go instead, and come back.
	Restart bool
}

// asPods starts all the pods at once, as kubelet does, and takes all of them away in the end.
func asPods(ctx context.Context, text []byte) error {
	var ordered podsOrders
	if err := json.Unmarshal(text, &ordered); err != nil {
		return err
	}
	kubelet, err := stack.DialKubelet(ordered.Socket, ordered.PodsDir)
	if err != nil {
		return err
	}
	defer func() { _ = kubelet.Close() }()
	var pods sync.WaitGroup
	for _, pod := range ordered.Pods {
		pods.Go(func() { live(ctx, kubelet, pod, ordered) })
	}
	pods.Wait()
	return kubelet.UnpublishAll(context.WithoutCancel(ctx))
}

func live(ctx context.Context, kubelet *stack.Kubelet, pod stack.Pod, ordered podsOrders) {
	for ctx.Err() == nil {
		next := ordered.Republish
		if kubelet.Publish(ctx, pod) != nil {
			next = 500 * time.Millisecond
		} else if ordered.Restart {
			_ = kubelet.Unpublish(ctx, pod)
		}
		select {
		case <-time.After(next):
		case <-ctx.Done():
		}
	}
}

// ids are so many, each optional, with the prefix.
func ids(prefix string, count int) string {
	all := make([]string, count)
	for i := range all {
		all[i] = fmt.Sprintf("%s%d?", prefix, i)
	}
	return strings.Join(all, ",")
}
