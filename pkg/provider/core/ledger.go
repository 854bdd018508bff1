package core

import (
	"fmt"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// ledger holds one answer to its request: each name asked for is settled exactly once,
// as an entry or as a refusal, and nothing else is.
type ledger struct {
	request provider.Request
	settled map[provider.Name]bool // false: asked for, still open
	open    int
}

func newLedger(request provider.Request) *ledger {
	l := &ledger{request: request, settled: map[provider.Name]bool{}}
	for name := range named(request) {
		l.settled[name] = false
	}
	l.open = len(l.settled)
	return l
}

// named yields the names that the request spells out.
func named(request provider.Request) func(yield func(provider.Name) bool) {
	return func(yield func(provider.Name) bool) {
		for _, id := range request.Connections.Names {
			if !yield(provider.Name{Kind: provider.Connection, ID: id}) {
				return
			}
		}
		for _, id := range request.Variables.Names {
			if !yield(provider.Name{Kind: provider.Variable, ID: id}) {
				return
			}
		}
	}
}

// settle notes that core spoke about name.
func (l *ledger) settle(name provider.Name) error {
	settled, named := l.settled[name]
	switch {
	case settled:
		return fmt.Errorf("%s %q comes twice", name.Kind, name.ID)
	case !named && (!l.asksForAll(name.Kind) || name.ID == ""):
		return fmt.Errorf("%s %q was not asked for", name.Kind, name.ID)
	case named:
		l.open--
	}
	l.settled[name] = true
	return nil
}

func (l *ledger) asksForAll(kind provider.Kind) bool {
	if kind == provider.Connection {
		return l.request.Connections.All
	}
	return l.request.Variables.All
}

// close complains about a name that core was silent about.
func (l *ledger) close() error {
	if l.open == 0 {
		return nil
	}
	for name := range named(l.request) {
		if !l.settled[name] {
			return fmt.Errorf("%s %q is neither given nor refused", name.Kind, name.ID)
		}
	}
	return nil
}
