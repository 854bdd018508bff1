package coreserver

import (
	"iter"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// records are those of the whole answer, read off it one by one as they are written.
func (f *fetching) records(callers []identity) iter.Seq[audit.Record] {
	return func(yield func(audit.Record) bool) {
		for i, known := range callers {
			if known.refused != "" {
				if !yield(f.stranger(known)) {
					return
				}
				continue
			}
			result := f.response.Results[i]
			for name, ruling := range f.given(result) {
				if !yield(f.record(known.who, name, ruling)) {
					return
				}
			}
			if result.Withheld != "" && !yield(f.withheld(known.who, result.Withheld)) {
				return
			}
			for record := range f.refusals(known.who, result) {
				if !yield(record) {
					return
				}
			}
		}
	}
}

// given yields what a result has.
func (f *fetching) given(result *secretsv1.CallerResult) iter.Seq2[entry.Name, verdict] {
	return func(yield func(entry.Name, verdict) bool) {
		for _, position := range result.Connections {
			given := f.response.Connections[position]
			if !yield(entry.Name{Kind: entry.Connection, ID: given.Id}, verdict{decision: audit.Allowed, team: f.connectionTeams[position], version: given.Version}) {
				return
			}
		}
		for _, position := range result.Variables {
			given := f.response.Variables[position]
			if !yield(entry.Name{Kind: entry.Variable, ID: given.Key}, verdict{decision: audit.Allowed, team: f.variableTeams[position], version: given.Version}) {
				return
			}
		}
	}
}

// refusals yields a record for each of the first refusals of a reason, of which the log shows no more,
// and one for all others of it. A large call has tens of thousands, and others wait for their turn to
// write until these are through.
func (f *fetching) refusals(who auth.Caller, result *secretsv1.CallerResult) iter.Seq[audit.Record] {
	return func(yield func(audit.Record) bool) {
		counts := map[secretsv1.Refusal_Reason]int{}
		for _, refusal := range result.Refusals {
			if counts[refusal.Reason]++; counts[refusal.Reason] > audit.InFull {
				continue
			}
			name, ruling := f.refused(who, refusal)
			if !yield(f.record(who, name, ruling)) {
				return
			}
		}
		for reason, count := range counts {
			if count <= audit.InFull {
				continue
			}
			record := f.record(who, entry.Name{}, verdict{decision: decisionOf(reason)})
			record.Count = count - audit.InFull
			if !yield(record) {
				return
			}
		}
	}
}

// refusal is what the answer says of an entry that is not given.
func refusal(name entry.Name, ruling verdict) *secretsv1.Refusal {
	return &secretsv1.Refusal{
		Kind: kindMessage(name.Kind), Name: name.ID, Reason: reasonOf(ruling.decision), Detail: ruling.detail,
	}
}

// refused is what refusal was made of.
func (f *fetching) refused(who auth.Caller, refusal *secretsv1.Refusal) (entry.Name, verdict) {
	name := entry.Name{Kind: entry.Variable, ID: refusal.Name}
	if refusal.Kind == secretsv1.Kind_KIND_CONNECTION {
		name.Kind = entry.Connection
	}
	ruling := verdict{decision: decisionOf(refusal.Reason), detail: refusal.Detail}
	if ruling.decision == audit.Invalid { // whose it is and at which version it does not say
		ruling = f.on(who, name)
	}
	return name, ruling
}

func reasonOf(decision audit.Decision) secretsv1.Refusal_Reason {
	switch decision {
	case audit.Missing:
		return secretsv1.Refusal_REASON_MISSING
	case audit.Invalid:
		return secretsv1.Refusal_REASON_INVALID
	default:
		return secretsv1.Refusal_REASON_DENIED
	}
}

func decisionOf(reason secretsv1.Refusal_Reason) audit.Decision {
	switch reason {
	case secretsv1.Refusal_REASON_MISSING:
		return audit.Missing
	case secretsv1.Refusal_REASON_INVALID:
		return audit.Invalid
	default:
		return audit.Denied
	}
}

func kindMessage(kind entry.Kind) secretsv1.Kind {
	if kind == entry.Connection {
		return secretsv1.Kind_KIND_CONNECTION
	}
	return secretsv1.Kind_KIND_VARIABLE
}
