package main

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// askHooks holds what the providers' hooks resolve from our delivery against what they
// resolve from the metastore.
func (b *bench) askHooks(ctx context.Context) error {
	want := b.node.source.truth.Hooks
	if len(want) == 0 {
		return nil
	}
	for _, s := range b.stations {
		a, err := s.ask(ctx, request{Hooks: hookedConnections(want)})
		if err != nil {
			return err
		}
		got := map[string]json.RawMessage{}
		if err := json.Unmarshal(a.Ways["hooks"], &got); err != nil {
			return err
		}
		c := b.cell(s, "hooks", "values")
		for name, resolved := range want {
			b.court.report.count(c)
			compareResolved(c, name, resolved, got[name])
		}
	}
	return nil
}

// hookedConnections are the connections of which a hook was asked.
func hookedConnections(resolved map[string]json.RawMessage) []string {
	var ids []string
	for name := range resolved {
		_, id, _ := strings.Cut(name, " ")
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func compareResolved(c cell, name string, want, got json.RawMessage) {
	var wanted, found map[string]any
	if json.Unmarshal(want, &wanted) != nil || json.Unmarshal(got, &found) != nil {
		c.differs(name, "", "not asked", "")
		return
	}
	for field, value := range wanted {
		if !reflect.DeepEqual(value, found[field]) {
			c.differs(name, field, textOf(found[field]), textOf(value))
		}
	}
	if _, raises := wanted["raises"]; !raises && found["raises"] != nil {
		c.differs(name, "raises", textOf(found["raises"]), "")
	}
}

func textOf(value any) string {
	text, _ := json.Marshal(value)
	return string(text)
}
