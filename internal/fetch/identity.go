package fetch

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Identities say how pods show their own identities to clouds.
type Identities interface {
	// HasIdentity tells whether they can, to the cloud.
	HasIdentity(cloud string) bool
	// Identity is how the pod does, and the text of the configuration. Its error says why it cannot, and
	// holds no secret; it wraps provider.ErrUnavailable where that may be over soon, and provider.ErrNoIdentity
	// where nobody said who the pod is there.
	Identity(ctx context.Context, pod provider.Identity, cloud string) (identity entry.Identity, config string, err error)
}

// hasIdentity tells whether a connection of the cloud that goes without credentials is to be given one.
func (c *Config) hasIdentity(cloud string) bool {
	return c.Identities != nil && c.Identities.HasIdentity(cloud)
}

// identities are those of the pods of one call, which are of one service account.
type identities struct {
	mu    sync.Mutex
	known map[string]shown
}

type shown struct {
	seam.Identity
	err error
}

// waiting bounds what a live volume waits for its identities, all together. One that is to lose something
// waits little: the withdrawal goes with the same answer.
func waiting(ctx context.Context, v seam.Volume, given []entry.Entry) (context.Context, context.CancelFunc) {
	if !v.IsLive {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, patienceOf(v, given))
}

func (i *identities) of(ctx context.Context, from Identities, v seam.Volume, cloud string) shown {
	i.mu.Lock()
	defer i.mu.Unlock()
	if one, known := i.known[cloud]; known {
		return one
	}
	var one shown
	one.Identity.Identity, one.Text, one.err = from.Identity(ctx, v.Pod, cloud)
	if one.err == nil {
		one.err = one.Check()
	}
	if one.err == nil && len(one.Text) > seam.MostIdentityText {
		one.err = errors.New("its configuration is too long")
	}
	if i.known == nil {
		i.known = map[string]shown{}
	}
	i.known[cloud] = one
	return one
}

// identify gives the answer the identities of which its entries speak. What is not known for now is
// unavailable, as an entry is whose reference is not resolved; what cannot be, the entry says.
func (f *Fetcher) identify(ctx context.Context, v seam.Volume, made *seam.Answer, known *identities) {
	entries := made.Entries
	for i := range entries {
		e := entries[i]
		if e.Identity == "" || e.State != entry.Delivered {
			continue
		}
		one := known.of(ctx, f.Identities, v, e.Identity)
		switch {
		case one.err == nil:
			if !slices.ContainsFunc(made.Identities, func(other seam.Identity) bool { return other.Cloud == one.Cloud }) {
				made.Identities = append(made.Identities, one.Identity)
			}
			continue
		case errors.Is(one.err, provider.ErrUnavailable):
			e = seam.Refused(e.Name(), entry.Unavailable, "finding the pod's identity at "+e.Identity+": "+one.err.Error())
		default:
			notice := entry.Notice{Code: entry.BadIdentity, Message: one.err.Error()}
			if errors.Is(one.err, provider.ErrNoIdentity) {
				notice.Code = entry.NoIdentity
			}
			e.Notices = append(slices.Clip(e.Notices), notice)
			e.Identity = ""
		}
		if &entries[0] == &made.Entries[0] { // which several volumes may have
			entries = slices.Clone(entries)
		}
		entries[i] = e
	}
	made.Entries = entries
}
