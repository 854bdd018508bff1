// Package entry names what core serves, for every part of core that speaks of an
// entry without holding its value.
package entry

import (
	"cmp"
	"strconv"
)

// Kind tells connections from variables.
type Kind string

// The two kinds, spelled as in rules, audit records and sealed values.
const (
	Connection Kind = "connection"
	Variable   Kind = "variable"
)

// Name names one entry. Ids are case-sensitive.
type Name struct {
	Kind Kind
	ID   string
}

func (n Name) String() string { return string(n.Kind) + " " + strconv.Quote(n.ID) }

// Compare orders names by kind, then by id.
func Compare(a, b Name) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
}
