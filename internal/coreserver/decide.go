package coreserver

import (
	"context"
	"iter"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// decisions are those of one call, taken on one snapshot, for one caller or several.
// Both contracts decide here and nowhere else.
type decisions struct {
	server   *Server
	snapshot *store.Snapshot
	common   audit.Record // what the call's records share
	opened   map[entry.Name]opening
	// readables are what subjects may read, as far as it was asked.
	readables map[reading][]entry.Name
	// print, where the contract carries connections as text, makes that text; one that
	// has none is invalid there.
	print func(airflow.Connection) (secret.Text, error)
}

// opening is kept for the call, so that a value is opened once however many callers
// it is for.
type opening struct {
	value store.Value
	fault string
}

func (s *Server) decide(ctx context.Context) *decisions {
	call := callOf(ctx)
	return &decisions{
		server:   s,
		snapshot: s.store.Current(),
		common:   audit.Record{Time: s.config.Now().UTC(), Request: call.request, Method: call.method, Peer: peerAddress(ctx)},
		opened:   map[entry.Name]opening{},
	}
}

// reading is one subject's view of one kind.
type reading struct {
	subject rule.Subject
	kind    entry.Kind
}

// readable names the entries of one kind that exist and that who may read. Callers of one
// subject share the answer.
func (d *decisions) readable(who auth.Caller, kind entry.Kind) []entry.Name {
	view := reading{who.RuleSubject(), kind}
	if names, known := d.readables[view]; known {
		return names
	}
	var names []entry.Name
	for _, name := range d.all(kind) {
		if d.refusal(who, name) == "" {
			names = append(names, name)
		}
	}
	if d.readables == nil {
		d.readables = map[reading][]entry.Name{}
	}
	d.readables[view] = names
	return names
}

// all names the entries of one kind that exist.
func (d *decisions) all(kind entry.Kind) []entry.Name {
	var names []entry.Name
	for e := range d.snapshot.All() {
		if e.Name.Kind == kind {
			names = append(names, e.Name)
		}
	}
	return names
}

// verdict is the decision on one entry for one caller. Only an allowed one has a value.
type verdict struct {
	decision audit.Decision
	detail   string
	version  string
	value    store.Value
}

// on decides whether who gets name, and records nothing yet. Rules come first: whether a
// denied entry exists is not looked at.
func (d *decisions) on(who auth.Caller, name entry.Name) verdict {
	if why := d.refusal(who, name); why != "" {
		return verdict{decision: audit.Denied, detail: why}
	}
	e, found := d.snapshot.Lookup(name)
	if !found {
		return verdict{decision: audit.Missing}
	}
	opened := d.open(e)
	if opened.fault != "" {
		return verdict{decision: audit.Invalid, detail: opened.fault, version: e.Version}
	}
	return verdict{decision: audit.Allowed, version: e.Version, value: opened.value}
}

// refusal is why who may not read name; empty where it may. A rule for everybody is not
// meant for nodes, which would otherwise have by themselves what all their pods may have.
func (d *decisions) refusal(who auth.Caller, name entry.Name) string {
	switch {
	case d.server.isNode(who):
		return "a node may watch, and reads nothing by itself"
	case !d.snapshot.Rules.CanRead(who.RuleSubject(), name):
		return "no rule lets this caller read it"
	default:
		return ""
	}
}

func (d *decisions) open(e store.Entry) opening {
	if known, found := d.opened[e.Name]; found {
		return known
	}
	value, err := d.server.store.Open(e)
	if err == nil && e.Name.Kind == entry.Connection && d.print != nil {
		value.Text, err = d.print(value.Connection)
	}
	opened := opening{value: value}
	if err != nil {
		opened = opening{fault: err.Error()}
	}
	d.opened[e.Name] = opened
	return opened
}

// record is that of one decision.
func (d *decisions) record(who auth.Caller, name entry.Name, ruling verdict) audit.Record {
	record := d.common
	record.Caller, record.Kind, record.Entry = who, name.Kind, name.ID
	record.Version, record.Decision, record.Detail = ruling.version, ruling.decision, ruling.detail
	return record
}

// stranger is the record of a token that speaks for nobody.
func (d *decisions) stranger(why string) audit.Record {
	record := d.common
	record.Decision, record.Detail = audit.Unauthenticated, why
	return record
}

// commit writes the decisions down. Without that nothing may be answered. handsOut tells
// that some of them allow, so that their outcome is of interest.
func (d *decisions) commit(ctx context.Context, records iter.Seq[audit.Record], handsOut bool) error {
	if err := d.server.audit.Write(ctx, records); err != nil {
		d.server.config.Log.Error("refusing to answer unrecorded", logkey.Request, d.common.Request, logkey.Error, err)
		return status.Error(codes.Unavailable, "core cannot write its audit log")
	}
	if handsOut {
		callOf(ctx).intent = &d.common
	}
	return nil
}
