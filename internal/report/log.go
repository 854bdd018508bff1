package report

import (
	"context"
	"log/slog"
	"slices"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// LogAttrs are who and what a line is about.
func (v Volume) LogAttrs() []any {
	return []any{
		logkey.VolumeID, v.ID,
		logkey.Namespace, v.Namespace,
		logkey.Pod, v.Pod,
		logkey.PodUID, v.PodUID,
		logkey.ServiceAccount, v.ServiceAccount,
	}
}

// log writes one line for every delivery: for whom, which entries at which versions, and how
// it ended; of one that failed, the entries that it failed for. news says that something that
// is wrong was not wrong before. A delivery that changed nothing is a line for debugging
// alone, since nobody was given anything.
func (r Report) log(log *slog.Logger, news bool) {
	log = log.With(r.Volume.LogAttrs()...)
	attributes := []slog.Attr{
		slog.String(logkey.Cause, r.Cause),
		slog.String(logkey.Source, r.Volume.Source),
		slog.String(logkey.Outcome, r.Outcome()),
	}
	switch problem := r.Problem(); {
	case r.Failure != nil:
		attributes = append(attributes, slog.String(logkey.Error, r.Failure.whole()))
		if len(r.Failure.Entries) > 0 {
			attributes = append(attributes, slog.Any(logkey.Entries, paths(r.Failure.Entries)))
		}
	default:
		attributes = append(attributes, slog.Any(logkey.Entries, given(r.Entries)), slog.Uint64(logkey.Generation, r.Generation))
		if problem != "" {
			attributes = append(attributes, slog.String(logkey.Notice, problem))
		}
	}
	level, message := r.verdict(news)
	log.LogAttrs(context.Background(), level, message, attributes...)
	if r.Pending.Err != nil {
		log.Warn("entries were taken away and still stand in the files",
			logkey.Entries, paths(r.Pending.Entries), logkey.Error, r.Pending.Err)
	}
}

// verdict logs at WARN what an operator should act on. A pod that cannot start is logged by
// the publish call instead, and an outage once for the source.
func (r Report) verdict(news bool) (slog.Level, string) {
	failed := slog.LevelWarn
	if r.Failure != nil && slices.Contains([]Reason{Unavailable, Cancelled, Deadline}, r.Failure.Reason) {
		failed = slog.LevelDebug
	}
	wrong := len(r.troubles) > 0
	switch {
	case r.MountGone:
		return slog.LevelWarn, "the volume's mount is gone"
	case r.Failure != nil && r.IsLive:
		return failed, "keeping the volume's last good files"
	case r.Failure != nil:
		return min(failed, slog.LevelInfo), "not delivered"
	case !r.Changed && wrong && news:
		return slog.LevelWarn, "unchanged"
	case !r.Changed:
		return slog.LevelDebug, "unchanged"
	case wrong:
		return slog.LevelWarn, "delivered"
	default:
		return slog.LevelInfo, "delivered"
	}
}

// given is each entry of a manifest with its version, or with why it is not there.
func given(entries []Entry) []string {
	lines := make([]string, len(entries))
	for i, line := range entries {
		remark := line.Version
		switch {
		case line.State != layout.Delivered:
			remark = string(line.State)
		case line.Held != nil:
			remark += " (held)"
		}
		lines[i] = pathOf(line.Entry) + "@" + remark
	}
	return lines
}
