package delivery

import (
	"context"
	"errors"
	"log/slog"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// audit writes one line for every delivery: for whom, which entries at which versions,
// and how it ended. A delivery that changed nothing is a line for debugging alone, since
// nobody was given anything.
func (d *Deliverer) audit(t task, cause string, e ending, problem string, news bool) {
	err := e.err
	attributes := []slog.Attr{
		slog.String(logkey.Cause, cause),
		slog.String(logkey.Provider, t.spec.Provider),
		slog.String(logkey.Outcome, e.outcome(err)),
	}
	if err != nil {
		attributes = append(attributes, slog.Any(logkey.Entries, asked(t.spec)), slog.String(logkey.Error, whole(err)))
	} else {
		attributes = append(attributes, slog.Any(logkey.Entries, given(e.lines)), slog.Uint64(logkey.Generation, e.generation))
	}
	if err == nil && problem != "" {
		attributes = append(attributes, slog.String(logkey.Notice, problem))
	}
	level, message := d.verdict(t, e, problem, news)
	log := d.logger(t.spec)
	log.LogAttrs(context.Background(), level, message, attributes...)
	if e.pending != nil {
		log.Warn("entries were taken away and still stand in the files", logkey.Entries, e.standing, logkey.Error, e.pending)
	}
}

// verdict warns of what somebody should look at. Of a pod that does not get to start
// the call that asked for its files warns.
func (d *Deliverer) verdict(t task, e ending, problem string, news bool) (slog.Level, string) {
	err := e.err
	switch {
	case errors.Is(err, mount.ErrNotMounted):
		return slog.LevelWarn, "the volume's mount is gone"
	case err != nil && d.isLive(t.volume):
		return levelOf(err), "keeping the volume's last good files"
	case err != nil:
		return min(levelOf(err), slog.LevelInfo), "not delivered"
	case !e.changed && problem != "" && news:
		return slog.LevelWarn, "unchanged"
	case !e.changed:
		return slog.LevelDebug, "unchanged"
	case problem != "":
		return slog.LevelWarn, "delivered"
	default:
		return slog.LevelInfo, "delivered"
	}
}

// given is each entry of a manifest with its version, or with why it is not there.
func given(entries []layout.Entry) []string {
	lines := make([]string, len(entries))
	for i, line := range entries {
		remark := line.Version
		switch {
		case line.State != layout.Delivered:
			remark = string(line.State)
		case line.Held != nil:
			remark += " (held)"
		}
		lines[i] = pathOf(line) + "@" + remark
	}
	return lines
}

// asked is each entry that a volume asked for.
func asked(spec Volume) []string {
	var lines []string
	for _, kind := range []entry.Kind{entry.Connection, entry.Variable} {
		wanted := spec.wanted(kind)
		if wanted.All {
			lines = append(lines, string(kind)+"/*")
		}
		for _, name := range wanted.Names {
			lines = append(lines, string(kind)+"/"+name.ID)
		}
	}
	return lines
}
