package fetch

import (
	"slices"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// isWithdrawal tells what somebody took away from what somebody broke.
func isWithdrawal(state entry.State) bool { return state == entry.Denied || state == entry.Missing }

// takenFrom are the entries that somebody took away.
func takenFrom(entries []entry.Entry) []entry.Entry {
	return selected(entries, func(e entry.Entry) bool { return isWithdrawal(e.State) })
}

// givenOf are the entries that nobody took away.
func givenOf(entries []entry.Entry) map[entry.Name]bool {
	given := make(map[entry.Name]bool, len(entries))
	for _, e := range entries {
		given[e.Name()] = !isWithdrawal(e.State)
	}
	return given
}

// unmentioned are the entries that "*" brought and brings no more: the answer to it does not
// speak of what is denied or missing.
func unmentioned(work seam.Work, v seam.Volume, entries []entry.Entry) (gone []entry.Entry) {
	all := map[entry.Kind]bool{entry.Connection: work.Connections.All, entry.Variable: work.Variables.All}
	given := givenOf(entries)
	for _, shown := range v.Shown {
		if _, mentioned := given[shown.Name]; all[shown.Kind] && !mentioned {
			gone = append(gone, entry.Refused(shown.Name, entry.Missing, ""))
		}
	}
	return gone
}

// deliveredFirst says for each environment variable which entry the volume delivers and
// goes on to, of what the source speaks of. Only "*" brings ids that clash: of the others
// the attributes allow none, and beside "*" no id of another source.
func deliveredFirst(v seam.Volume, entries []entry.Entry) map[string]string {
	if len(v.Shown) == 0 {
		return nil
	}
	given := givenOf(entries)
	first := map[string]string{}
	for _, shown := range v.Shown {
		if given[shown.Name] {
			first[shown.Env] = shown.ID
		}
	}
	return first
}

// selected are those that are chosen.
func selected[T any](all []T, isChosen func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), func(one T) bool { return !isChosen(one) })
}
