package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/leoflow/secrets-csi/pkg/delivery/render"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// content is what a volume is to hold. What of it is held, mount settles.
type content struct {
	entries []mount.Entry
	// rest keeps what the volume shows besides.
	rest bool
	// reasons are of the entries that are not fresh, by name; unresolved are the
	// connections among them whose references failed.
	reasons    map[provider.Name]provider.Refusal
	unresolved []string
	// late is set if any of these may be had soon.
	late bool
}

// compose turns a provider's answer into the volume's content, by this table:
//
//	the source says           new volume, required   new volume, optional   live volume
//	a value                   delivered              delivered              delivered
//	denied, missing           fails                  left out               withdrawn
//	unavailable (reference)   fails: Unavailable     fails: Unavailable     held
//	invalid                   fails                  left out               held
//
// On a live volume no entry waits for another, and none is taken away for another's sake.
func (d *Deliverer) compose(ctx context.Context, t task, outcome provider.Outcome) (content, error) {
	if outcome.Err != nil {
		return content{}, providerError(t.spec, outcome.Err)
	}
	decided, err := d.decide(ctx, t.spec, outcome.Result.Connections, t.live)
	if err != nil {
		return content{}, err
	}
	var first map[string]string
	if t.live {
		first = deliveredFirst(t.spec, outcome.Result)
	}
	rendered := d.render(t.spec.Format, decided.connections, variables(t.spec, outcome.Result), first)
	refusals := slices.Concat(decided.refusals, outcome.Result.Refusals, rendered.Failures)
	made := content{
		reasons: map[provider.Name]provider.Refusal{}, unresolved: decided.unresolved,
		late: len(decided.unresolved)+len(decided.waiting) > 0 && t.live,
	}
	if !t.live {
		if err := checkRequired(t.spec, refusals); err != nil {
			return content{unresolved: decided.unresolved}, err
		}
	}
	for _, entry := range rendered.Entries {
		if entry.Has(layout.NoticeTooLong) { // who needs it in the environment has to be told
			entry.Required = t.spec.wanted(provider.Kind(entry.Kind)).requires(entry.ID)
		}
		made.entries = append(made.entries, mount.Entry{Entry: entry.Entry, Value: entry.Value, JSON: entry.JSON})
	}
	for _, refusal := range refusals {
		made.refuse(t, refusal)
	}
	for _, id := range decided.waiting {
		made.wait(t, id)
	}
	return made, nil
}

func variables(spec Volume, result provider.Result) []render.Variable {
	all := make([]render.Variable, 0, len(result.Variables))
	for _, v := range result.Variables {
		all = append(all, render.Variable{Key: v.Key, Value: v.Value, Version: v.Version, Source: spec.Provider})
	}
	return all
}

// refuse makes the entry of a refusal. Only who may not have it, or what there is not, is
// taken from a live volume.
func (c *content) refuse(t task, refusal provider.Refusal) {
	c.reasons[refusal.Name] = refusal
	entry := mount.Entry{Entry: absent(t.spec, refusal)}
	if t.live && !isWithdrawal(refusal) {
		entry.Hold, entry.Why = true, refusal.Detail
		if entry.Why == "" {
			entry.Why = "it cannot be delivered"
		}
	}
	c.entries = append(c.entries, entry)
}

// wait makes the entry of a connection that is not decided on yet: it stays as it is. When
// it has been waited for in vain, it says so.
func (c *content) wait(t task, id string) {
	refusal := provider.Refusal{
		Name: provider.Name{Kind: provider.Connection, ID: id}, Reason: unavailable,
		Detail: fmt.Sprintf("resolving reference: no answer within %v; it is asked again", patience),
	}
	if t.failures >= patientFailures {
		c.refuse(t, refusal)
		return
	}
	c.entries = append(c.entries, mount.Entry{Entry: absent(t.spec, refusal), Hold: true})
}

// isWithdrawal tells what somebody took away from what somebody broke.
func isWithdrawal(refusal provider.Refusal) bool {
	return refusal.Reason == provider.Denied || refusal.Reason == provider.Missing
}

// absent is the manifest's line of an entry that is not delivered.
func absent(spec Volume, refusal provider.Refusal) layout.Entry {
	entry := layout.Entry{
		Kind: string(refusal.Name.Kind), ID: refusal.Name.ID, State: string(refusal.Reason),
		Required: spec.wanted(refusal.Name.Kind).requires(refusal.Name.ID),
	}
	if refusal.Detail != "" {
		entry.Notices = []layout.Notice{{Code: string(refusal.Reason), Message: refusal.Detail}}
	}
	return entry
}

// deliveredFirst says for each environment variable which entry the volume delivers and
// goes on to, of what the provider speaks of. Only "*" brings ids that clash: of the others
// the attributes allow none.
func deliveredFirst(spec Volume, result provider.Result) map[string]string {
	if !spec.Connections.All && !spec.Variables.All {
		return nil
	}
	shown, err := mount.Current(spec.TargetPath)
	if err != nil {
		return nil // nothing was
	}
	given := map[provider.Name]bool{}
	for _, entry := range result.Connections {
		given[provider.Name{Kind: provider.Connection, ID: entry.Connection.ID}] = true
	}
	for _, entry := range result.Variables {
		given[provider.Name{Kind: provider.Variable, ID: entry.Key}] = true
	}
	for _, refusal := range result.Refusals {
		given[refusal.Name] = !isWithdrawal(refusal)
	}
	first := map[string]string{}
	for _, entry := range shown.Manifest.Entries {
		if entry.State == layout.Delivered && given[nameOf(entry)] {
			first[entry.Env] = entry.ID
		}
	}
	return first
}

func nameOf(entry layout.Entry) provider.Name {
	return provider.Name{Kind: provider.Kind(entry.Kind), ID: entry.ID}
}

// withdrawal is the content that takes away what is denied or missing, and touches nothing
// else: it needs no policy, no rendering and no room. Empty if nothing is.
func withdrawal(spec Volume, result provider.Result) content {
	made := content{rest: true, reasons: map[provider.Name]provider.Refusal{}}
	for _, refusal := range result.Refusals {
		if isWithdrawal(refusal) {
			made.reasons[refusal.Name] = refusal
			made.entries = append(made.entries, mount.Entry{Entry: absent(spec, refusal)})
		}
	}
	return made
}

// providerError says of a whole failed fetch whose turn it is.
func providerError(spec Volume, err error) error {
	switch {
	case errors.Is(err, provider.ErrUnauthenticated):
		return failf(Unauthenticated, err, "%s refused the token of service account %s/%s: %v",
			spec.Provider, spec.Pod.Namespace, spec.Pod.ServiceAccount, err)
	case errors.Is(err, provider.ErrDenied):
		return failf(Denied, err, "%s refused service account %s/%s: %v",
			spec.Provider, spec.Pod.Namespace, spec.Pod.ServiceAccount, err)
	case errors.Is(err, provider.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return failf(Unavailable, err, "%s cannot be asked now: %v", spec.Provider, err)
	default:
		return failf(Internal, err, "fetching from %s: %v", spec.Provider, err)
	}
}
