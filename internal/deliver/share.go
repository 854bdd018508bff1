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
	part
	// id is the share's in the schedule, key is groupKey(asked()).
	id, key string
	health  report.Health
	// mayRefer is set unless the last answer had no entry with a reference.
	mayRefer bool
	// events is what the pod was told.
	events report.Events
	// placed is the number of the delivery whose outcome stands in the volume. One that
	// began earlier and ends later is dropped: it knows less. The target path's lock
	// guards it.
	placed uint64
}

// part is what a volume wants of one source. A node has as many as volumes and sources, so they do not
// repeat what the volume says.
type part struct {
	source                 string
	connections, variables Wanted
}

// parts are what the volume wants of each of its sources. What its own source gives comes first.
func (v Volume) parts() []part {
	sources := []string{v.Provider}
	for _, name := range slices.Concat(v.Connections.Names, v.Variables.Names) {
		if name.Source != "" && !slices.Contains(sources, name.Source) {
			sources = append(sources, name.Source)
		}
	}
	if len(sources) == 1 {
		return []part{{v.Provider, v.Connections, v.Variables}}
	}
	var parts []part
	for _, source := range sources {
		one := part{source, v.Connections.of(source, v.Provider), v.Variables.of(source, v.Provider)}
		if !one.connections.isEmpty() || !one.variables.isEmpty() {
			parts = append(parts, one)
		}
	}
	return parts
}

// only is the volume with what it wants of one source alone.
func (v Volume) only(one part) Volume {
	v.Provider, v.Connections, v.Variables = one.source, one.connections, one.variables
	return v
}

// ids is how many the part lists.
func (p part) ids() int { return len(p.connections.Names) + len(p.variables.Names) }

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
	return slices.ContainsFunc(v.parts(), func(one part) bool { return one.source == source })
}

// newShare is one that the schedule does not know yet.
func newShare(of *volume, source string, health report.Health) *share {
	return &share{of: of, id: of.spec.ID + "\x00" + source, health: health, mayRefer: true}
}

// asked is the volume with what its share's source is asked for alone.
func (s *share) asked() Volume { return s.of.spec.only(s.part) }

// scheduled is what the schedule has to know of the share. polled is how often its source wants to
// be asked, for a volume that does not say.
func (s *share) scheduled(polled time.Duration) schedule.Volume {
	return schedule.Volume{
		ID: s.id, Source: s.source, Namespace: s.of.spec.Pod.Namespace, Key: s.key,
		Refresh: cmp.Or(s.of.spec.Refresh, polled), IDs: s.ids(), Wanted: setOf(s.part),
	}
}
