// Package store serves entries from the stores that Airflow's own secrets backends read: each
// connection and variable under the name, and in the form, that Airflow's class of that store
// expects, read under the pod's own identity. It holds what the stores have in common: naming,
// sharing, batches, bounds. What a store's protocol is stands in a package of its own.
package store

import (
	"context"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Store is one store. It is safe for concurrent use.
type Store interface {
	secretmanager.Opener[Session]
	// Batch is how many secrets one call reads, where sessions implement Batcher; 1 where they do not.
	Batch() int
	// Names are where the store keeps an entry of a team, to be asked in this order. Where the store
	// is not asked for the entry there is none, and the reason says why.
	Names(team Team, name entry.Name) (names []string, reason string)
	// Connection and Variable read what the store keeps as Airflow's class does. Their errors
	// say what is wrong, and hold no value.
	Connection(id string, kept secret.Text) (airflow.Connection, error)
	Variable(kept secret.Text) (secret.Text, error)
}

// Session is what one pod may do at a store for a while. Its errors are *secretmanager.Failure:
// of what a Read is told of the one secret, and with Whole set of what concerns the pod.
type Session interface {
	// Read reads one secret.
	Read(ctx context.Context, name string) (secret.Text, error)
}

// Batcher is implemented by sessions of stores that give several secrets at once.
type Batcher interface {
	// ReadBatch reads no more secrets than Store.Batch. A name that the answer is silent
	// about is read alone. ErrDenied means that the identity may not read batches.
	ReadBatch(ctx context.Context, names []string) (map[string]Result, error)
}

// Lister is implemented by sessions of stores that tell what they hold.
type Lister interface {
	// List returns the ids of the entries of a kind, in any order.
	List(ctx context.Context, kind entry.Kind) ([]string, error)
}

// Result is what a store said of one name.
type Result struct {
	Kept secret.Text
	Err  error
}
