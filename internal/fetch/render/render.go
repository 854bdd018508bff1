// Package render gives entries the bytes that a volume is to show of them. It is pure: no
// I/O, no clock, and the same input gives the same bytes.
package render

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Format is how connections are written into their files.
type Format = seam.Format

// The formats.
const (
	URI  = seam.URI
	JSON = seam.JSON
)

// Render gives each delivered entry its bytes, its file and its variable. It sorts the
// entries, so that the order of a provider's answer changes nothing. One that cannot be
// rendered is refused and touches no other. Of entries that become one environment
// variable, none is delivered; but if the volume delivers one already, that one stays: first
// says which, by the name of the variable.
func Render(format Format, entries []entry.Entry, first map[string]string) {
	slices.SortStableFunc(entries, func(a, b entry.Entry) int { return entry.Compare(a.Name(), b.Name()) })
	for i := range entries {
		if e := &entries[i]; e.State == entry.Delivered {
			if err := render(format, e); err != nil {
				e.Refuse(entry.Invalid, err.Error())
			}
		}
	}
	refuseClashes(entries, first)
}

// refuseClashes refuses every entry whose environment variable another entry has too:
// Airflow upper-cases ids, so "Db" and "db" are one variable. The first stays.
func refuseClashes(entries []entry.Entry, first map[string]string) {
	ids := map[string][]string{}
	for _, e := range entries {
		if e.State == entry.Delivered {
			ids[e.Env] = append(ids[e.Env], e.ID)
		}
	}
	for i := range entries {
		e := &entries[i]
		stays, delivered := first[e.Env]
		switch {
		case e.State != entry.Delivered:
		case delivered && stays != e.ID:
			e.Refuse(entry.Invalid, fmt.Sprintf("%q and %q both become %s, and %q was delivered first: rename one", stays, e.ID, e.Env, stays))
		case !delivered && len(ids[e.Env]) > 1:
			e.Refuse(entry.Invalid, fmt.Sprintf("%s all become %s: rename all but one", quoted(ids[e.Env]), e.Env))
		}
	}
}

func quoted(ids []string) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Quote(id)
	}
	return strings.Join(texts, " and ")
}
