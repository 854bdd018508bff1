package deliver

import (
	"cmp"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
)

// share is what a volume asks one source for: to the schedule, a volume of its own.
type share struct {
	of *volume
	// spec is the volume's, with what that source is asked for alone. key is groupKey(spec).
	spec   Volume
	key    string
	health report.Health
	// mayRefer is set unless the last answer had no entry with a reference.
	mayRefer bool
	// events is what the pod was told.
	events report.Events
	// placed is the number of the delivery whose outcome stands in the volume. One that
	// began earlier and ends later is dropped: it knows less. The target path's lock
	// guards it.
	placed uint64
}

// shares are what the volume wants of each of its sources, each a Volume of that source
// alone. What its own source gives comes first.
func (v Volume) shares() []Volume {
	sources := []string{v.Provider}
	for _, name := range slices.Concat(v.Connections.Names, v.Variables.Names) {
		if name.Source != "" && !slices.Contains(sources, name.Source) {
			sources = append(sources, name.Source)
		}
	}
	if len(sources) == 1 {
		return []Volume{v}
	}
	var shares []Volume
	for _, source := range sources {
		share := v
		share.Provider = source
		share.Connections, share.Variables = v.Connections.of(source, v.Provider), v.Variables.of(source, v.Provider)
		if !share.Connections.isEmpty() || !share.Variables.isEmpty() {
			shares = append(shares, share)
		}
	}
	return shares
}

// of is what is wanted of the source, in a volume whose own source is volumes. No name is of two
// shares: "*" is the volume's own, and leaves no room for a name of its kind beside it.
func (w Wanted) of(source, volumes string) Wanted {
	share := Wanted{All: w.All && source == volumes}
	for _, name := range w.Names {
		if name.Source == source || name.Source == "" && source == volumes {
			share.Names = append(share.Names, name)
		}
	}
	return share
}

// Asks reports whether the volume wants anything of the source.
func (v Volume) Asks(source string) bool {
	return slices.ContainsFunc(v.shares(), func(share Volume) bool { return share.Provider == source })
}

// id is the share's in the schedule.
func (s *share) id() string { return s.spec.ID + "\x00" + s.spec.Provider }

// scheduled is what the schedule has to know of the share. polled is how often its source wants to
// be asked, for a volume that does not say.
func (s *share) scheduled(polled time.Duration) schedule.Volume {
	return schedule.Volume{
		ID: s.id(), Source: s.spec.Provider, Namespace: s.spec.Pod.Namespace, Key: s.key,
		Refresh: cmp.Or(s.spec.Refresh, polled), IDs: s.spec.IDs(), Wanted: setOf(s.spec),
	}
}
