package core

import (
	"fmt"
	"iter"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// ledger holds one answer to its request: each name asked for is settled exactly once,
// and nothing else is.
type ledger struct {
	request provider.Request
	settled map[entry.Name]bool // false: asked for, still open
	open    int
}

func newLedger(request provider.Request) *ledger {
	l := &ledger{request: request, settled: map[entry.Name]bool{}}
	for name := range named(request) {
		l.settled[name] = false
	}
	l.open = len(l.settled)
	return l
}

// named yields the names that the request spells out.
func named(request provider.Request) func(yield func(entry.Name) bool) {
	return func(yield func(entry.Name) bool) {
		for _, id := range request.Connections.Names {
			if !yield(entry.Name{Kind: entry.Connection, ID: id}) {
				return
			}
		}
		for _, id := range request.Variables.Names {
			if !yield(entry.Name{Kind: entry.Variable, ID: id}) {
				return
			}
		}
	}
}

// settle notes that core spoke about name.
func (l *ledger) settle(name entry.Name) error {
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

func (l *ledger) asksForAll(kind entry.Kind) bool {
	if kind == entry.Connection {
		return l.request.Connections.All
	}
	return l.request.Variables.All
}

// close complains about a name that core was silent about.
func (l *ledger) close() error {
	if l.open == 0 {
		return nil
	}
	for name := range l.unsettled() {
		return fmt.Errorf("%s %q is neither given nor refused", name.Kind, name.ID)
	}
	return nil
}

// unsettled yields the names that core was silent about.
func (l *ledger) unsettled() iter.Seq[entry.Name] {
	return func(yield func(entry.Name) bool) {
		for name := range named(l.request) {
			if !l.settled[name] && !yield(name) {
				return
			}
		}
	}
}
