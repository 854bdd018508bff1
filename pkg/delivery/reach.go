package delivery

import (
	"errors"
	"slices"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Unreachable names the providers that could not be asked when they last were, and
// says why.
func (d *Deliverer) Unreachable() map[string]string {
	found := map[string]string{}
	d.unreachable.Range(func(name, why any) bool {
		found[name.(string)] = why.(string)
		return true
	})
	return found
}

func (d *Deliverer) noteReach(name string, outcomes []provider.Outcome) {
	at := slices.IndexFunc(outcomes, func(o provider.Outcome) bool { return errors.Is(o.Err, provider.ErrUnavailable) })
	if at < 0 {
		d.unreachable.Delete(name)
		return
	}
	d.unreachable.Store(name, outcomes[at].Err.Error())
}
