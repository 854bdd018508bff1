package file

import (
	"context"
	"log/slog"

	"github.com/leoflow/secrets-csi/internal/filewatch"
	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Watch implements provider.Watcher. The first look finds all of the content new.
func (p *Provider) Watch(ctx context.Context, notify func(provider.Change)) error {
	var before content
	look := func() {
		after, err := p.read()
		if err != nil {
			p.config.Logger.Warn("export files cannot be read", slog.Any(logkey.Error, err))
			return
		}
		if changed := differences(before, after); len(changed) > 0 {
			notify(provider.Change{Entries: changed})
		}
		before = after
	}
	filewatch.Watch(ctx, p.config.Logger, filewatch.Places{Files: p.files()}, p.config.Poll, look)
	return context.Cause(ctx)
}

func (p *Provider) files() []string {
	var files []string
	for _, file := range []string{p.config.Connections, p.config.Variables} {
		if file != "" {
			files = append(files, file)
		}
	}
	return files
}

// differences are the names that came, went or have another version.
func differences(before, after content) []entry.Name {
	var changed []entry.Name
	for name, held := range after {
		if old, existed := before[name]; !existed || !isSame(old, held) {
			changed = append(changed, name)
		}
	}
	for name := range before {
		if _, exists := after[name]; !exists {
			changed = append(changed, name)
		}
	}
	return changed
}

// isSame compares versions, and of what is broken what is wrong with it.
func isSame(a, b entry.Entry) bool {
	return a.State == b.State && a.Version == b.Version && a.Reason() == b.Reason()
}
