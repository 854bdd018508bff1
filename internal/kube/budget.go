package kube

import (
	"maps"
	"sync"
	"time"

	"k8s.io/client-go/util/flowcontrol"
)

// What one node sends a second, and in a burst, whatever happens to it. Every namespace has
// a few events that no other can use up; the rest is anyone's, a burst of it being one event
// for each pod that a node holds by default.
const (
	namespaceRate, namespaceBurst = 0.1, 5
	nodeRate, nodeBurst           = 2, 110
	// manyNamespaces is when those that sent nothing lately are forgotten. By then they have
	// their whole burst again.
	manyNamespaces = 128
	lately         = namespaceBurst * 10 * time.Second
)

// budget bounds the events of a node.
type budget struct {
	node flowcontrol.RateLimiter

	mu         sync.Mutex
	namespaces map[string]*allowance
}

type allowance struct {
	flowcontrol.RateLimiter
	used time.Time
}

func newBudget() *budget {
	return &budget{node: flowcontrol.NewTokenBucketRateLimiter(nodeRate, nodeBurst), namespaces: map[string]*allowance{}}
}

func (b *budget) allow(namespace string) bool {
	return b.of(namespace).TryAccept() || b.node.TryAccept()
}

func (b *budget) of(namespace string) *allowance {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	own := b.namespaces[namespace]
	if own == nil {
		if len(b.namespaces) >= manyNamespaces {
			maps.DeleteFunc(b.namespaces, func(_ string, other *allowance) bool { return now.Sub(other.used) > lately })
		}
		own = &allowance{RateLimiter: flowcontrol.NewTokenBucketRateLimiter(namespaceRate, namespaceBurst)}
		b.namespaces[namespace] = own
	}
	own.used = now
	return own
}
