package deliver

import (
	"slices"
	"strconv"
	"strings"

	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// requires reports whether the volume cannot do without the entry.
func (w Wanted) requires(id string) bool {
	return slices.ContainsFunc(w.Names, func(name WantedName) bool { return name.ID == id && !name.Optional })
}

func (w Wanted) selection() provider.Selection {
	selection := provider.Selection{All: w.All}
	for _, name := range w.Names {
		selection.Names = append(selection.Names, name.ID)
	}
	return selection
}

func request(spec Volume) provider.Request {
	return provider.Request{Connections: spec.Connections.selection(), Variables: spec.Variables.selection()}
}

// wantedSet is what the volume wants, as the schedule looks changes up in it.
func wantedSet(spec Volume) schedule.Set {
	var kinds []entry.Kind
	var names []entry.Name
	for _, kind := range []entry.Kind{entry.Connection, entry.Variable} {
		wanted := spec.wanted(kind)
		if wanted.All {
			kinds = append(kinds, kind)
		}
		for _, name := range wanted.Names {
			names = append(names, entry.Name{Kind: kind, ID: name.ID})
		}
	}
	return schedule.NewSet(kinds, names)
}

func (v Volume) wanted(kind entry.Kind) Wanted {
	if kind == entry.Variable {
		return v.Variables
	}
	return v.Connections
}

// groupKey is equal for volumes that can share one fetch: same provider, same
// identity, same names in whatever order.
func groupKey(spec Volume) string {
	// No part can hold a NUL: attributes refuse it and Kubernetes names cannot.
	const end = "\x00"
	parts := []string{spec.Provider, spec.Pod.Namespace, spec.Pod.ServiceAccount, strconv.FormatBool(spec.Pod.TaskToken)}
	for _, wanted := range []Wanted{spec.Connections, spec.Variables} {
		ids := wanted.selection().Names
		slices.Sort(ids)
		parts = append(parts, strconv.FormatBool(wanted.All), strconv.Itoa(len(ids)))
		parts = append(parts, ids...)
	}
	return strings.Join(parts, end)
}
