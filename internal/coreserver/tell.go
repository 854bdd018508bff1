package coreserver

import (
	"fmt"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
)

const (
	// NotInForce is the reason of what a team is told of a file that cannot be read.
	NotInForce = "FileNotInForce"
	// toldFor is how long a team that was told is taken to know it: Kubernetes keeps an event
	// for an hour.
	toldFor = 30 * time.Minute
)

// telling has each team know, in its namespaces, what of its files is not in force.
type telling struct {
	tell func(namespace, reason, message string) // nil for nobody
	told map[string]told                         // by file
}

type told struct {
	fault string
	at    time.Time
}

// of tells what is new in files, and what lasts. Of namespaces that teams have by a pattern none
// is told.
func (t *telling) of(files []store.Status, teams []rule.Team, now time.Time) {
	if t.tell == nil {
		return
	}
	namespaces := map[string][]string{}
	for _, team := range teams {
		namespaces[team.Name] = team.Named()
	}
	next := map[string]told{}
	for _, file := range files {
		if file.Fault == "" || file.Team == "" {
			continue
		}
		before, known := t.told[file.File]
		if known && before.fault == file.Fault && now.Sub(before.at) < toldFor {
			next[file.File] = before
			continue
		}
		next[file.File] = told{file.Fault, now}
		for _, namespace := range namespaces[file.Team] {
			t.tell(namespace, NotInForce, fmt.Sprintf("since %s what %s of team %s holds is not in force, and what was last read from it is: %s",
				file.Since.UTC().Format(time.RFC3339), file.File, file.Team, file.Fault))
		}
	}
	t.told = next
}
