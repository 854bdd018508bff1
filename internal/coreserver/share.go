package coreserver

import (
	"fmt"
	"time"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// throttled tells a caller why it is given nothing for so long, and what to do.
func (s *Server) throttled(wait time.Duration) string {
	return fmt.Sprintf("what it was given fills its share of core's audit log, %d bytes a second and those of %d minutes at once: "+
		"ask again in %v, and for less or less often, or raise core's --caller-audit-rate",
		s.config.CallerAuditRate, int(audit.AtOnce.Minutes()), max(wait, time.Second).Round(time.Second))
}

// withheld is the record of a caller who is given nothing for now.
func (d *decisions) withheld(who auth.Caller, why string) audit.Record {
	return d.record(who, entry.Name{}, verdict{decision: audit.Throttled, detail: why})
}

// spend has each caller owe for the records of what it was given, and for that of the outcome.
func (f *fetching) spend(callers []identity) {
	own := map[*secretsv1.CallerResult]int{} // what the entries of a result take, which callers share
	for i, known := range callers {
		result := f.response.Results[i]
		count := len(result.Connections) + len(result.Variables)
		if count == 0 {
			continue
		}
		if _, reckoned := own[result]; !reckoned {
			for name, ruling := range f.given(result) {
				own[result] += sizeOf(name, ruling)
			}
		}
		f.owe(known.who, count, own[result])
	}
}

// owe has the caller owe for so many records, whose entries take so many bytes.
func (d *decisions) owe(who auth.Caller, count, entries int) {
	outcome := d.common
	outcome.Outcome = audit.Sent
	common := d.record(who, entry.Name{}, verdict{})
	d.server.budget.Spend(who, count*common.Size()+entries+outcome.Size())
}

// sizeOf is what a record has of the entry that it is about.
func sizeOf(name entry.Name, ruling verdict) int {
	about := audit.Record{Kind: name.Kind, Entry: name.ID, Team: ruling.team, Version: ruling.version, Decision: ruling.decision}
	return about.Size() - new(audit.Record).Size()
}
