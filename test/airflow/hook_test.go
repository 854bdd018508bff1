package airflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	var providers map[string]string
	for _, s := range b.stations {
		a, err := s.ask(ctx, request{Hooks: hookedConnections(want)})
		if err != nil {
			return err
		}
		got := map[string]json.RawMessage{}
		if err := errors.Join(json.Unmarshal(a.Ways["hooks"], &got), json.Unmarshal(a.Ways["providers"], &providers)); err != nil {
			return err
		}
		c := b.cell(s, "hooks", "values")
		for name, resolved := range want {
			b.court.report.count(c)
			compareResolved(c, name, resolved, got[name])
		}
	}
	b.remarkHooks(want, providers)
	return nil
}

// hooks are those that python/hooks.py asks.
var hooks = []string{"gcs", "bigquery", "s3", "wasb", "postgres", "http", "ssh", "snowflake"}

// remarkHooks says which providers were asked. A hook that resolves no connection at all judges
// nothing, and fails the run.
func (b *bench) remarkHooks(want map[string]json.RawMessage, providers map[string]string) {
	resolved, raising := map[string]int{}, 0
	for name, found := range want {
		hook, _, _ := strings.Cut(name, " ")
		var fields map[string]any
		if json.Unmarshal(found, &fields) != nil || fields["raises"] != nil {
			raising++
		} else {
			resolved[hook]++
		}
	}
	number := b.court.version.number
	var each []string
	for _, hook := range hooks {
		each = append(each, fmt.Sprintf("%s %d", hook, resolved[hook]))
		if resolved[hook] == 0 {
			b.court.report.fail("Airflow %s: hook %s resolves nothing from the metastore", number, hook)
		}
	}
	var packages []string
	for _, name := range hookProviders {
		packages = append(packages, name+" "+providers[name])
	}
	b.court.report.remark("Airflow %s: connections by hook: %s; %d raise in both; providers: %s",
		number, strings.Join(each, ", "), raising, strings.Join(packages, ", "))
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
