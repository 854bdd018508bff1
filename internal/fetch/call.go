package fetch

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// referenceBytes is what a reference is expected to bring: a key file.
const referenceBytes = 4 << 10

// call makes one call for the work. It has a deadline of its own, and no more is read than there is
// memory for.
func (f *Fetcher) call(ctx context.Context, work seam.Work) (outcomes []provider.Outcome) {
	err := f.guard.Run(work.Volumes[0].Subject(work.Source), func() error {
		source, started := f.Providers[work.Source], time.Now()
		if source == nil {
			return errors.New("no such source is configured on this node")
		}
		limited, cancel := context.WithTimeout(ctx, f.timeoutOf(source))
		defer cancel()
		outcomes = fetchFrom(limited, source, work, work.Request)
		if isOutgrown(work, outcomes) {
			return nil // it is asked for again
		}
		if mayComeInParts(work, outcomes) {
			outcomes = fetchApart(limited, source, work, outcomes)
		}
		f.Observer.Fetched(fetchOf(ctx, work.Source, outcomes, started))
		return nil
	})
	if err != nil {
		return slices.Repeat([]provider.Outcome{{Err: err}}, len(work.Volumes))
	}
	return outcomes
}

func fetchFrom(ctx context.Context, source provider.Provider, work seam.Work, asked provider.Request) []provider.Outcome {
	pods := make([]provider.Identity, len(work.Volumes))
	for i, v := range work.Volumes {
		pods[i] = v.Pod
	}
	var outcomes []provider.Outcome
	if grouped, ok := source.(provider.GroupFetcher); ok && len(pods) > 1 {
		outcomes = grouped.FetchGroup(ctx, pods, asked)
	} else {
		entries, err := source.Fetch(ctx, pods[0], asked)
		outcomes = []provider.Outcome{{Entries: entries, Err: err}}
	}
	return complete(work, asked, outcomes)
}

// toldOf is how the call ended, and what each volume takes. What references bring comes on top of
// the outcomes.
func toldOf(work seam.Work, outcomes []provider.Outcome) seam.Told {
	told := seam.Told{Errs: make([]error, len(outcomes)), Each: work.MaxBytes, Outgrown: isOutgrown(work, outcomes)}
	for i, outcome := range outcomes {
		told.Errs[i] = outcome.Err
	}
	if !work.Partial {
		told.Each = min(work.MaxBytes, max(largestOf(outcomes)+referenceBytes*mostReferences(outcomes), work.Least))
	}
	return told
}

// isOutgrown reports whether the outcomes take more memory than there is, where more can be.
func isOutgrown(work seam.Work, outcomes []provider.Outcome) bool {
	return !work.Partial && (mayComeInParts(work, outcomes) || bytesOfAll(outcomes) > work.MaxBytes)
}

// mostReferences is how many entries of an outcome may have one.
func mostReferences(outcomes []provider.Outcome) (most int64) {
	for _, outcome := range outcomes {
		count := int64(0)
		for _, e := range outcome.Entries {
			if e.Kind == entry.Connection && e.State == entry.Delivered {
				count++
			}
		}
		most = max(most, count)
	}
	return most
}

// largestOf is what the largest of the outcomes takes.
func largestOf(outcomes []provider.Outcome) (largest int64) {
	for _, outcome := range outcomes {
		largest = max(largest, bytesOf(outcome.Entries))
	}
	return largest
}

// bytesOfAll is what the outcomes take together. Pods whose outcomes are equal share them.
func bytesOfAll(outcomes []provider.Outcome) (bytes int64) {
	if len(outcomes) == 1 {
		return bytesOf(outcomes[0].Entries)
	}
	counted := map[*entry.Entry]bool{}
	for _, outcome := range outcomes {
		if len(outcome.Entries) > 0 && !counted[&outcome.Entries[0]] {
			counted[&outcome.Entries[0]] = true
			bytes += bytesOf(outcome.Entries)
		}
	}
	return bytes
}

func bytesOf(entries []entry.Entry) int64 {
	bytes := int64(len(entries)) * budget.PerEntry
	for value := range values(entries) {
		bytes += int64(value.Len())
	}
	return bytes
}

// fetchOf is what is counted of a fetch for the caller of ctx that took from started until now.
func fetchOf(ctx context.Context, name string, outcomes []provider.Outcome, started time.Time) report.Fetch {
	fetch := report.Fetch{Source: name, Outcome: "ok", Took: time.Since(started), Refusals: map[entry.State]int{}}
	for _, o := range outcomes {
		if fetch.Outcome == "ok" {
			fetch.Outcome = errorWord(o.Err)
			if fetch.Outcome == "unavailable" && ctx.Err() != nil {
				fetch.Outcome = report.GivenUpFor(ctx).String()
			}
		}
		for _, e := range o.Entries {
			if e.State != entry.Delivered {
				fetch.Refusals[e.State]++
			}
		}
	}
	return fetch
}

// errorWord names what a provider's or a resolver's error wraps.
func errorWord(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, provider.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "unavailable"
	case errors.Is(err, provider.ErrUnauthenticated):
		return "unauthenticated"
	case errors.Is(err, provider.ErrDenied):
		return "denied"
	case errors.Is(err, provider.ErrMissing):
		return "missing"
	case errors.Is(err, provider.ErrProtocol):
		return "protocol"
	case errors.Is(err, provider.ErrTooLarge):
		return "too_large"
	default:
		return "error"
	}
}
