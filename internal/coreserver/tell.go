package coreserver

import (
	"fmt"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
)

const (
	// NotInForce is the reason of what a team is told of a file that cannot be read.
	NotInForce = "FileNotInForce"
	// toldFor is how long a namespace that was told is taken to know it: Kubernetes keeps an
	// event for an hour.
	toldFor = 30 * time.Minute
	// mostTold bounds the namespaces of one team that are told though the team has them by a
	// pattern alone.
	mostTold = 32
)

// telling has each team know, in its namespaces, what of its files is not in force.
type telling struct {
	tell func(namespace, reason, message string) // nil for nobody
	told map[toldOf]time.Time
	seen callers
}

// toldOf is what a namespace was told.
type toldOf struct{ namespace, file, fault string }

// of tells what is new in files, and what lasts.
func (t *telling) of(files []store.Status, teams []rule.Team, now time.Time) {
	if t.tell == nil {
		return
	}
	lately := t.seen.lately()
	namespaces := map[string][]string{}
	for _, team := range teams {
		namespaces[team.Name] = namespacesOf(team, lately)
	}
	next := map[toldOf]time.Time{}
	for _, file := range files {
		if file.Fault == "" || file.Team == "" {
			continue
		}
		for _, namespace := range namespaces[file.Team] {
			what := toldOf{namespace, file.File, file.Fault}
			at, known := t.told[what]
			if !known || now.Sub(at) >= toldFor {
				at = now
				t.tell(namespace, NotInForce, fmt.Sprintf("since %s what %s of team %s holds is not in force, and what was last read from it is: %s",
					file.Since.UTC().Format(time.RFC3339), file.File, file.Team, file.Fault))
			}
			next[what] = at
		}
	}
	t.told = next
}

// namespacesOf are those that the team has by their whole names, and of those that it has by a
// pattern the ones with a caller, the latest first.
func namespacesOf(team rule.Team, lately []string) []string {
	named := team.Named()
	most := len(named) + mostTold
	for _, namespace := range lately {
		if len(named) < most && team.Namespaces.Match(namespace) && !slices.Contains(named, namespace) {
			named = append(named, namespace)
		}
	}
	return named
}
