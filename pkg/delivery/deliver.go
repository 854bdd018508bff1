package delivery

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// deliver brings a group of volumes, alike in identity and request, up to date:
//
//  1. fetch what they ask for, in one call where the provider can;
//  2. compose each volume's files: policy, rendering, what is required;
//  3. place them: the tmpfs if there is none yet, and one swap if anything differs.
//
// The errors stand in the order of the group. A volume whose delivery fails keeps its
// files.
func (d *Deliverer) deliver(ctx context.Context, cause string, group []task) []error {
	outcomes := d.fetch(ctx, group) // 1
	errs := make([]error, len(group))
	for i, t := range group {
		fetched := time.Now()
		composed, err := d.compose(ctx, t.spec, outcomes[i], d.isLive(t.volume)) // 2
		var placed placement
		if err == nil {
			placed, err = d.place(t, composed, fetched) // 3
		}
		d.end(t, cause, placed, err)
		errs[i] = err
	}
	d.trigger()
	return errs
}

// isLive reports whether the volume shows files.
func (d *Deliverer) isLive(v *volume) bool {
	_, health, _ := d.set.look(v)
	return health.Generation > 0
}

// fetch asks the group's provider once for all of them.
func (d *Deliverer) fetch(ctx context.Context, group []task) []provider.Outcome {
	source, ok := d.Providers[group[0].spec.Provider]
	if !ok {
		// The driver checks the attribute; a volume from before a restart may name a
		// provider that is configured no more.
		return slices.Repeat([]provider.Outcome{{Err: errNoProvider}}, len(group))
	}
	ctx, cancel := context.WithTimeout(ctx, d.FetchTimeout)
	defer cancel()
	pods := make([]provider.Identity, len(group))
	for i, t := range group {
		pods[i] = t.spec.Pod
	}
	outcomes := provider.FetchGroup(ctx, source, pods, request(group[0].spec))
	d.noteReach(group[0].spec.Provider, outcomes)
	return outcomes
}

var errNoProvider = errors.New("no such provider is configured on this node")

// end records how a delivery went and logs it where nobody else will: a publish that
// fails on a volume without files is logged by the call that asked for it.
func (d *Deliverer) end(t task, cause string, placed placement, err error) {
	o := outcome{placement: placed}
	if err != nil {
		o.problem = err.Error()
	}
	d.set.end(t.volume, o, d.next)
	log := d.logger(t.spec).With(logkey.Cause, cause)
	switch {
	case err != nil && d.isLive(t.volume):
		log.Warn("keeping the volume's last good files", logkey.Error, err)
	case err == nil && placed.changed:
		log.Info("delivered", logkey.Generation, placed.generation)
	}
}
