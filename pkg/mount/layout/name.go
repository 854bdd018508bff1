package layout

import (
	"cmp"
	"strconv"
)

// Kind tells connections from variables.
type Kind string

// The two kinds of entry.
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

// State is what became of an entry.
type State string

// The states.
const (
	Delivered   State = "delivered"   // its value is there
	Missing     State = "missing"     // it does not exist
	Denied      State = "denied"      // the pod may not read it
	Invalid     State = "invalid"     // it exists and cannot be delivered
	Unavailable State = "unavailable" // it cannot be asked for at present
)
