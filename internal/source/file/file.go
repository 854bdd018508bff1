// Package file serves entries from export files on the node, for development.
//
// It authorizes nobody: whatever stands in the files goes to every pod of the node
// that asks, and no token is looked at. Never run it where pods of more than one owner
// run.
package file

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Config names the files: what "airflow connections export" and "airflow variables
// export" write. One of the two may be empty.
type Config struct {
	Connections, Variables string
	// Poll is how often Watch reads the files though nothing told of a change.
	Poll   time.Duration
	Logger *slog.Logger
}

// Provider reads its files for each Fetch, so that it never serves what they no longer
// hold, and starts nothing of its own.
type Provider struct {
	config   Config
	versions provider.Versions
}

var (
	_ provider.Provider = (*Provider)(nil)
	_ provider.Watcher  = (*Provider)(nil)
)

// New fails where the files cannot be read now; later that is a matter of waiting.
func New(config Config) (*Provider, error) {
	if config.Connections == "" && config.Variables == "" {
		return nil, errors.New("configuring the file source: no file of connections and none of variables")
	}
	if config.Poll <= 0 {
		config.Poll = 30 * time.Second
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Provider{config: config, versions: provider.NewVersions()}
	if _, err := p.read(); err != nil {
		return nil, fmt.Errorf("configuring the file source: %w", err)
	}
	config.Logger.Warn("the file source authorizes nobody: every pod of this node gets what it asks for; use it for development only",
		slog.String(logkey.Source, "file"))
	return p, nil
}

// Fetch implements provider.Provider.
func (p *Provider) Fetch(ctx context.Context, _ provider.Identity, request provider.Request) ([]entry.Entry, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("reading export files: %w: %w", provider.ErrUnavailable, context.Cause(ctx))
	}
	held, err := p.read()
	if err != nil {
		return nil, fmt.Errorf("reading export files: %w: %w", provider.ErrUnavailable, err)
	}
	entries := append(held.asked(entry.Connection, request.Connections), held.asked(entry.Variable, request.Variables)...)
	return entries, bound(entries, request)
}

// bound refuses what MaxBytes does not hold: all of it, or what comes last.
func bound(entries []entry.Entry, request provider.Request) error {
	left := request.MaxBytes
	for i := range entries {
		for value := range entries[i].Secrets() {
			left -= int64(value.Len())
		}
		switch {
		case request.MaxBytes == 0 || left >= 0:
		case !request.Partial:
			return fmt.Errorf("reading export files: %w: %d bytes are the most", provider.ErrTooLarge, request.MaxBytes)
		case entries[i].State == entry.Delivered:
			entries[i] = entry.NoRoom(entries[i].Name())
		}
	}
	return nil
}
