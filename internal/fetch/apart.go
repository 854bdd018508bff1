package fetch

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// mostParts bounds the calls that one fetch is split into.
const mostParts = 32

// apart asks for the names of a request in parts.
type apart struct {
	source provider.Provider
	work   seam.Work
	// most is the most bytes of an answer; calls and room are how many calls and how many bytes of
	// values are left.
	calls      int
	most, room int64
	// answered is set once any part was.
	answered bool
}

// mayComeInParts tells whether asking for less at a time may help. A new pod is told at once of
// an answer that is wrong in any other way.
func mayComeInParts(work seam.Work, whole []provider.Outcome) bool {
	if work.Volumes[0].IsLive {
		return slices.ContainsFunc(whole, isUnusable)
	}
	return slices.ContainsFunc(whole, func(o provider.Outcome) bool { return errors.Is(o.Err, provider.ErrTooLarge) })
}

// fetchApart asks again, part by part, where the provider answered all of a request in a
// way that it must not, or with more than one message holds. One entry that is too
// large then is an entry that cannot be delivered, and hides nothing of the others, such
// as that they were taken away. If that leads nowhere, whole stands, with what was taken away.
func fetchApart(ctx context.Context, source provider.Provider, work seam.Work, whole []provider.Outcome) []provider.Outcome {
	room := min(work.MaxBytes, work.Room)
	a := apart{source: source, work: work, calls: mostParts, most: room, room: room}
	if first, second, ok := halves(work.Request); ok {
		outcomes := merge(a.ask(ctx, first), a.ask(ctx, second))
		if outcomes != nil && a.answered {
			return outcomes
		}
	}
	return a.withTaken(ctx, whole)
}

// withTaken adds to an answer that cannot be used which of the entries that "*" brought before
// were taken away since: it asks for these by name.
func (a *apart) withTaken(ctx context.Context, whole []provider.Outcome) []provider.Outcome {
	asked := a.work.Request
	if !a.work.Volumes[0].IsLive || !asked.Connections.All && !asked.Variables.All {
		return whole
	}
	a.calls = mostParts
	outcomes := a.ask(ctx, a.shown(asked))
	for i := range outcomes {
		if isUnusable(whole[i]) && outcomes[i].Err == nil {
			whole[i].Entries = selected(outcomes[i].Entries, func(e entry.Entry) bool { return isWithdrawal(e.State) })
		}
	}
	return whole
}

// shown asks for what the volumes of the group show, in the place of "*".
func (a *apart) shown(asked provider.Request) provider.Request {
	names := map[entry.Kind]map[string]bool{entry.Connection: {}, entry.Variable: {}}
	for _, volume := range a.work.Volumes {
		for _, shown := range volume.Shown {
			if names[shown.Kind] != nil {
				names[shown.Kind][shown.ID] = true
			}
		}
	}
	of := func(selection provider.Selection, kind entry.Kind) provider.Selection {
		if !selection.All {
			return selection
		}
		return provider.Selection{Names: slices.Sorted(maps.Keys(names[kind]))}
	}
	return provider.Request{Connections: of(asked.Connections, entry.Connection), Variables: of(asked.Variables, entry.Variable)}
}

// ask is nil where the request cannot be answered in the calls that are left.
func (a *apart) ask(ctx context.Context, asked provider.Request) []provider.Outcome {
	if a.calls == 0 {
		return nil
	}
	a.calls--
	asked.MaxBytes = max(1, a.most)
	outcomes := fetchFrom(ctx, a.source, a.work, asked)
	if !slices.ContainsFunc(outcomes, isUnusable) {
		a.answered = true
		a.take(outcomes)
		return outcomes
	}
	if first, second, ok := halves(asked); ok {
		return merge(a.ask(ctx, first), a.ask(ctx, second))
	}
	if asked.Connections.All || asked.Variables.All {
		return nil
	}
	for i, outcome := range outcomes {
		if isUnusable(outcome) {
			outcomes[i] = provider.Outcome{Entries: refuseAll(asked, outcome.Err.Error())}
		}
	}
	return outcomes
}

// take leaves out the values that there is no more room for. Of a group it reckons what the pod
// brings that is given most: one that is refused brings nothing.
func (a *apart) take(outcomes []provider.Outcome) {
	most := int64(0)
	for _, outcome := range outcomes {
		size := int64(0)
		for value := range values(outcome.Entries) {
			size += int64(value.Len())
		}
		most = max(most, size)
	}
	if a.room -= most; a.room >= 0 {
		return
	}
	given := slices.Clone(outcomes)
	for i := range outcomes {
		if i > 0 && isShared(given[i], given[i-1]) {
			outcomes[i].Entries = outcomes[i-1].Entries
			continue
		}
		outcomes[i].Entries = withoutValues(given[i].Entries)
	}
}

func withoutValues(entries []entry.Entry) []entry.Entry {
	made := slices.Clone(entries)
	for i, e := range made {
		if e.State == entry.Delivered {
			made[i] = entry.NoRoom(e.Name())
		}
	}
	return made
}

// isUnusable tells whether nothing of an answer can be used, though the provider can be reached.
func isUnusable(outcome provider.Outcome) bool {
	return errors.Is(outcome.Err, provider.ErrProtocol) || errors.Is(outcome.Err, provider.ErrTooLarge)
}

// halves splits a request by kind, or else by names.
func halves(whole provider.Request) (first, second provider.Request, ok bool) {
	connections, variables := whole.Connections, whole.Variables
	switch {
	case !isEmpty(connections) && !isEmpty(variables):
		return provider.Request{Connections: connections}, provider.Request{Variables: variables}, true
	case len(connections.Names) > 1:
		a, b := split(connections)
		return provider.Request{Connections: a}, provider.Request{Connections: b}, true
	case len(variables.Names) > 1:
		a, b := split(variables)
		return provider.Request{Variables: a}, provider.Request{Variables: b}, true
	}
	return provider.Request{}, provider.Request{}, false
}

func isEmpty(selection provider.Selection) bool { return !selection.All && len(selection.Names) == 0 }

func split(whole provider.Selection) (a, b provider.Selection) {
	middle := len(whole.Names) / 2
	return provider.Selection{Names: whole.Names[:middle]}, provider.Selection{Names: whole.Names[middle:]}
}

func refuseAll(asked provider.Request, why string) (entries []entry.Entry) {
	for kind, selection := range map[entry.Kind]provider.Selection{entry.Connection: asked.Connections, entry.Variable: asked.Variables} {
		for _, id := range selection.Names {
			entries = append(entries, entry.Refused(entry.Name{Kind: kind, ID: id}, entry.Invalid, "fetching it alone: "+why))
		}
	}
	return entries
}

// merge puts the answers to two parts of a request together; nil if there is not both. A
// pod that was refused in one part is refused.
func merge(a, b []provider.Outcome) []provider.Outcome {
	if a == nil || b == nil {
		return nil
	}
	merged := make([]provider.Outcome, len(a))
	for i := range a {
		merged[i].Err = errors.Join(a[i].Err, b[i].Err)
		switch {
		case merged[i].Err != nil:
		case i > 0 && merged[i-1].Err == nil && isShared(a[i], a[i-1]) && isShared(b[i], b[i-1]):
			merged[i] = merged[i-1]
		default:
			merged[i].Entries = slices.Concat(a[i].Entries, b[i].Entries)
		}
	}
	return merged
}
