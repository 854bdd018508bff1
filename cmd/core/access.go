package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// access is that some subjects may read one entry, or where Not is set that a rule, or an entry
// of their team by the same name, keeps them from it.
type access struct {
	Name entry.Name
	Team string // whose entry it is; empty for all
	Who  rule.Pair
	Not  bool
}

// accesses are those to the names wanted, each with what says so.
func accesses(files *store.Store, wants func(entry.Name) bool) map[access]string {
	found := map[access]string{}
	snapshot := files.Current()
	for e := range snapshot.All() {
		if wants(e.Name) {
			accessesOf(snapshot, e, found)
		}
	}
	dropIdle(found)
	return found
}

func accessesOf(snapshot *store.Snapshot, e store.Entry, found map[access]string) {
	put := func(not bool, says string, pairs ...rule.Pair) {
		for _, who := range pairs {
			if key := (access{e.Name, e.Team, who, not}); found[key] == "" {
				found[key] = says
			}
		}
	}
	rules, deny := snapshot.Rules.About(e.Team, e.Name)
	for _, one := range rules {
		put(false, one.String(), within(snapshot, e.Team, one)...)
	}
	for _, one := range deny {
		put(true, one.String(), within(snapshot, cmp.Or(e.Team, one.Team), one)...)
	}
	if e.Team != "" {
		return
	}
	for _, team := range snapshot.Rules.Teams() {
		if own, hides := snapshot.Lookup(team.Name, e.Name); hides {
			put(true, fmt.Sprintf("the entry of team %s (%s)", team.Name, own.Origin),
				append(team.Within(rule.Pair{First: "*", Second: "*"}), team.Within(rule.Pair{Task: true, First: "*", Second: "*"})...)...)
		}
	}
}

// dropIdle leaves out who is kept from an entry that he may not read anyway.
func dropIdle(found map[access]string) {
	byEntry := map[access][]rule.Pair{}
	for each := range found {
		if !each.Not {
			of := access{Name: each.Name, Team: each.Team}
			byEntry[of] = append(byEntry[of], each.Who)
		}
	}
	maps.DeleteFunc(found, func(each access, _ string) bool {
		return each.Not && !slices.ContainsFunc(byEntry[access{Name: each.Name, Team: each.Team}], each.Who.Overlaps)
	})
}

// within is whom a rule about a team's entries is for.
func within(snapshot *store.Snapshot, name string, one rule.Rule) []rule.Pair {
	pairs := one.Pairs()
	if name == "" {
		return pairs
	}
	var parts []rule.Pair
	for _, team := range snapshot.Rules.Teams() {
		if team.Name != name {
			continue
		}
		for _, pair := range pairs {
			parts = append(parts, team.Within(pair)...)
		}
	}
	return parts
}

func compareAccess(a, b access) int {
	return cmp.Or(entry.Compare(a.Name, b.Name), strings.Compare(a.Team, b.Team), compareBool(a.Not, b.Not),
		strings.Compare(a.Who.String(), b.Who.String()))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// notInForce fails where a file could not be read: what it wants is then not known.
func notInForce(files *store.Store) error {
	var faults []string
	for _, status := range files.Status() {
		if status.Fault != "" {
			faults = append(faults, status.Fault)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("not all files can be read:\n%s", strings.Join(faults, "\n"))
	}
	return nil
}
