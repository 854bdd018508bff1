package fetch

import (
	"fmt"
	"slices"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// complete holds what a source answered against what provider.Provider promises, so that no volume
// is made of half an answer. A wrong number of outcomes leaves it open whose each is: then nobody has
// any. A name that is not answered for is unavailable, and a live volume keeps it. What nobody
// asked for, or what is answered twice, spoils the answer.
func complete(work seam.Work, asked provider.Request, outcomes []provider.Outcome) []provider.Outcome {
	source, count := work.Source, len(work.Volumes)
	if len(outcomes) != count {
		err := provider.OfCall(fmt.Errorf("%w: source %s gave %d answers for %d pods", provider.ErrUnavailable, source, len(outcomes), count))
		return slices.Repeat([]provider.Outcome{{Err: err}}, count)
	}
	made := make([]provider.Outcome, len(outcomes))
	for i, outcome := range outcomes {
		switch {
		case outcome.Err != nil:
			made[i].Err = outcome.Err
		case i > 0 && outcomes[i-1].Err == nil && isShared(outcome, outcomes[i-1]):
			made[i] = made[i-1]
		default:
			made[i] = completeOne(source, asked, outcome.Entries)
		}
	}
	return made
}

// isShared reports whether two outcomes have the same entries in memory. Nobody changes those: what
// is made of them is a copy, of which again all have one.
func isShared(a, b provider.Outcome) bool {
	return len(a.Entries) == len(b.Entries) && (len(a.Entries) == 0 || &a.Entries[0] == &b.Entries[0])
}

func completeOne(source string, asked provider.Request, entries []entry.Entry) provider.Outcome {
	answered := make(map[entry.Name]bool, len(entries))
	for _, e := range entries {
		answered[e.Name()] = true
	}
	count, missing := 0, []entry.Entry(nil)
	for _, kind := range []struct {
		entry.Kind
		provider.Selection
	}{{entry.Connection, asked.Connections}, {entry.Variable, asked.Variables}} {
		for _, id := range kind.Names {
			name := entry.Name{Kind: kind.Kind, ID: id}
			if count++; !answered[name] {
				missing = append(missing, entry.Refused(name, entry.Unavailable, "source "+source+" did not answer for it"))
			}
		}
		if kind.All {
			for name := range answered {
				if name.Kind == kind.Kind {
					count++
				}
			}
		}
	}
	if len(entries)+len(missing) != count {
		return provider.Outcome{Err: fmt.Errorf("%w: source %s answered for more than it was asked for, or twice", provider.ErrProtocol, source)}
	}
	return provider.Outcome{Entries: append(slices.Clip(entries), missing...)}
}
