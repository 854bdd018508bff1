package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/pkg/envshim"
	"github.com/leoflow/secrets-csi/test/stack"
)

const (
	entries   = 10
	residents = 20 // pods that stay all the time
	most      = 60 // pods at once
)

// node is a node's life: which pods kubelet wants, and what core serves.
type node struct {
	*stack.Stack
	random *rand.Rand
	// pods are those wanted, published or not yet.
	pods  map[string]stack.Pod
	count int
	mark  int
	done  map[string]int
}

func connections(mark int) string {
	all := map[string]any{}
	for i := range entries {
		all["conn_"+strconv.Itoa(i)] = map[string]any{"conn_type": "postgres", "host": "db", "login": "etl", "password": "mark-" + strconv.Itoa(mark)}
	}
	text, _ := json.Marshal(all)
	return string(text)
}

func rulesFor(pattern string) string {
	return "rules: [{tenants: ['*'], dags: ['*'], connections: ['" + pattern + "'], variables: ['*']}]\n"
}

func (n *node) begin(ctx context.Context) error {
	for range residents {
		if err := n.publish(ctx); err != nil {
			return err
		}
	}
	return nil
}

type act func(context.Context) error

// acts are what may happen at any time, the frequent ones more than once.
func (n *node) acts() []act {
	return []act{
		n.publish, n.publish, n.publish, n.unpublish, n.unpublish, n.unpublish, n.republish, n.republish,
		n.rotate, n.rotate, n.rotate, n.revoke, n.allow, n.killCore, n.freezeCore,
	}
}

// live has one thing after the other happen.
func (n *node) live(ctx context.Context, until time.Time, acts []act) error {
	for time.Now().Before(until) {
		if err := acts[n.random.IntN(len(acts))](ctx); err != nil {
			return err
		}
		if err := n.pause(ctx, time.Duration(n.random.IntN(200))*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// publish wants one more pod. Like kubelet it comes back to one that core is away for.
func (n *node) publish(ctx context.Context) error {
	if len(n.pods) >= most {
		return nil
	}
	n.done["publish"]++
	n.count++
	name := "pod-" + strconv.Itoa(n.count)
	tokens, err := n.Tokens(1, auth.Caller{Tenant: "acme", DAG: "daily", Task: name}, 24*time.Hour)
	if err != nil {
		return err
	}
	n.pods[name] = stack.Pod{
		Name: name, UID: name, Namespace: "airflow", ServiceAccount: "account-" + strconv.Itoa(n.count%5), Token: tokens[0],
		Attributes: map[string]string{"connections": "conn_0, conn_1?, conn_2?, conn_3?, conn_4?, conn_5?, conn_6?, conn_7?, conn_8?, conn_9?"},
	}
	if err := n.Kubelet.Publish(ctx, n.pods[name]); err != nil {
		n.done["publish put off"]++
	}
	return nil
}

func (n *node) unpublish(ctx context.Context) error {
	for name, pod := range n.pods {
		if len(n.pods) <= residents {
			return nil
		}
		n.done["unpublish"]++
		delete(n.pods, name)
		return n.Kubelet.Unpublish(ctx, pod)
	}
	return nil
}

// republish is kubelet's round. What shows files must never fail.
func (n *node) republish(ctx context.Context) error {
	n.done["republish"]++
	for _, pod := range n.pods {
		_, missing := os.Lstat(filepath.Join(n.Kubelet.Target(pod), "..data"))
		if err := n.Kubelet.Publish(ctx, pod); err != nil && missing == nil {
			return fmt.Errorf("republishing a live volume: %w", err)
		}
	}
	return nil
}

func (n *node) rotate(context.Context) error {
	n.done["rotate"]++
	n.mark++
	return n.WriteConnections(connections(n.mark))
}

func (n *node) revoke(context.Context) error {
	n.done["revoke"]++
	return n.writeRules(rulesFor("conn_0"))
}

func (n *node) allow(context.Context) error { return n.writeRules(rulesFor("*")) }

func (n *node) writeRules(text string) error {
	path := filepath.Join(n.Dir, "rules.yaml")
	return errors.Join(os.WriteFile(path+".next", []byte(text), 0o600), os.Rename(path+".next", path))
}

func (n *node) killDriver(ctx context.Context) error {
	n.done["kill driver"]++
	n.Driver.Kill()
	return n.StartDriver(ctx)
}

func (n *node) killCore(ctx context.Context) error {
	n.done["kill core"]++
	n.Core.Kill()
	if err := n.pause(ctx, time.Duration(n.random.IntN(1000))*time.Millisecond); err != nil {
		return err
	}
	return n.StartCore(ctx)
}

func (n *node) freezeCore(ctx context.Context) error {
	n.done["freeze core"]++
	return errors.Join(n.Core.Freeze(ctx),
		n.pause(ctx, time.Duration(n.random.IntN(3000))*time.Millisecond),
		n.Core.Thaw())
}

func (*node) pause(ctx context.Context, length time.Duration) error {
	select {
	case <-time.After(length):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isRight reports what is wrong with a volume that everything is allowed to.
func (n *node) isRight(pod stack.Pod) error {
	snapshot, err := envshim.Read(n.Kubelet.Target(pod))
	if err != nil {
		return err
	}
	if len(snapshot.Entries) != entries {
		return fmt.Errorf("%s has %d entries", pod.Name, len(snapshot.Entries))
	}
	for _, entry := range snapshot.Entries {
		if !strings.Contains(entry.Value.Reveal(), ":mark-"+strconv.Itoa(n.mark)+"@") {
			return fmt.Errorf("%s is not at mark %d", pod.Name, n.mark)
		}
	}
	return nil
}
