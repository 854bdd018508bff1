package store

import (
	"fmt"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Answer is how a request for a name ends.
type Answer int

// The answers. The zero Answer denies.
const (
	Denied    Answer = iota
	Missing          // may be read and is not there
	Given            // may be read, and is Ruling.Entry
	Undecided        // a file that would tell cannot be read: nothing is given or taken away
)

// Ruling is the decision on one name for one subject.
type Ruling struct {
	Answer Answer
	Entry  Entry
	// Rule is the one that decided; nil where none did.
	Rule *rule.Rule
	// Detail says why, for a person.
	Detail string
}

// Decide says what the subject of view gets for name: its team's entry, else that of all. A
// team's entry hides that of all also from those of the team who may not read it, and while
// it is not known whether there is one: what is refused or away must not read as another.
//
// The deny lists come first, then the rules; whether a denied entry exists is not looked at,
// but for the team's own.
func (s *Snapshot) Decide(view rule.View, name entry.Name) Ruling {
	if denied := view.Denied(name); denied != nil {
		return Ruling{Rule: denied, Detail: "a rule denies it"}
	}
	if view.Team != "" {
		if own, found := s.Lookup(view.Team, name); found {
			return s.own(view, name, own)
		}
	}
	shared, own := view.Shared(name), view.Own(name)
	isUnknown := view.Team != "" && s.unknown[view.Team] != ""
	switch {
	case shared == nil && own == nil && (!isUnknown || view.Unknown == ""):
		return Ruling{Detail: "no rule lets this caller read it" + byItself(view.WithDriver(name))}
	case isUnknown:
		return Ruling{Answer: Undecided, Detail: undecided("the entries of team %q are not known", view.Team)}
	case shared == nil:
		return Ruling{Answer: Missing, Rule: own}
	}
	e, found := s.Lookup("", name)
	switch {
	case found:
		return Ruling{Answer: Given, Entry: e, Rule: shared}
	case s.unknown[""] != "":
		return Ruling{Answer: Undecided, Detail: undecided("the entries of all are not known", "")}
	default:
		return Ruling{Answer: Missing, Rule: shared}
	}
}

// own decides about an entry of the subject's team.
func (s *Snapshot) own(view rule.View, name entry.Name, e Entry) Ruling {
	allows := view.Own(name)
	switch {
	case allows != nil:
		return Ruling{Answer: Given, Entry: e, Rule: allows}
	case view.Unknown != "":
		return Ruling{Answer: Undecided, Detail: undecided("the rules of team %q are not known", view.Team)}
	default:
		return Ruling{Detail: "no rule of the team lets this caller read it" + byItself(view.OwnWithDriver(name))}
	}
}

// byItself tells a caller without a driver that with one it could.
func byItself(couldWithDriver bool) string {
	if couldWithDriver {
		return " without a driver between; one that may has direct: true"
	}
	return ""
}

func undecided(what, team string) string {
	if team != "" {
		what = fmt.Sprintf(what, team)
	}
	return "core cannot decide: " + what + ", because a file was never read in good order; core's log names it"
}

// Readable lists the names of one kind that the subject of view may have. It fails where
// that is not known of all.
func (s *Snapshot) Readable(view rule.View, kind entry.Kind) ([]entry.Name, error) {
	switch {
	case s.unknown[""] != "":
		return nil, fmt.Errorf("%s", undecided("the entries of all are not known", ""))
	case view.Team != "" && s.unknown[view.Team] != "":
		return nil, fmt.Errorf("%s", undecided("the entries of team %q are not known", view.Team))
	case view.Team != "" && view.Unknown != "":
		return nil, fmt.Errorf("%s", undecided("the rules of team %q are not known", view.Team))
	}
	var names []entry.Name
	for _, e := range s.entries {
		isSeen := e.Team == "" || e.Team == view.Team
		isNew := len(names) == 0 || names[len(names)-1] != e.Name
		if e.Name.Kind == kind && isSeen && isNew && s.Decide(view, e.Name).Answer == Given {
			names = append(names, e.Name)
		}
	}
	return names, nil
}
