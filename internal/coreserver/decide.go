package coreserver

import (
	"context"
	"iter"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/gate"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
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
	opened   map[ofTeam]opening
	// views are what the rules say about subjects, and readables what these may read, as far
	// as it was asked.
	views     map[rule.Subject]rule.View
	readables map[reading][]entry.Name
	// print, where the contract carries connections as text, makes that text; one that
	// has none is invalid there.
	print func(airflow.Connection) (secret.Text, error)
}

// ofTeam is what an entry is known by: two teams may each have one of a name.
type ofTeam struct {
	team string
	name entry.Name
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
		server:    s,
		snapshot:  s.store.Current(),
		views:     map[rule.Subject]rule.View{},
		readables: map[reading][]entry.Name{},
		common:    audit.Record{Time: s.config.Now().UTC(), Request: call.request, Method: call.method, Peer: peerAddress(ctx)},
		opened:    map[ofTeam]opening{},
	}
}

// reading is one subject's view of one kind.
type reading struct {
	subject rule.Subject
	kind    entry.Kind
}

// readable names the entries of one kind that who may have. Callers of one subject share the
// answer. It fails, with a status, where core cannot tell.
func (d *decisions) readable(who auth.Caller, kind entry.Kind) ([]entry.Name, error) {
	if d.server.isNode(who) {
		return nil, nil
	}
	asked := reading{who.RuleSubject(), kind}
	if names, known := d.readables[asked]; known {
		return names, nil
	}
	names, err := d.snapshot.Readable(d.view(who), kind)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	d.readables[asked] = names
	return names, nil
}

// view is what the rules say about who, which is asked once for each subject of a call.
func (d *decisions) view(who auth.Caller) rule.View {
	subject := who.RuleSubject()
	view, known := d.views[subject]
	if !known {
		view = d.snapshot.Rules.For(subject)
		d.views[subject] = view
	}
	return view
}

// verdict is the decision on one entry for one caller. Only an allowed one has a value.
type verdict struct {
	decision audit.Decision
	detail   string
	team     string // whose entry it is
	rule     string // that allows it, by name
	version  string
	value    store.Value
}

// on decides whether who gets name, and records nothing yet.
func (d *decisions) on(who auth.Caller, name entry.Name) verdict {
	// A rule for everybody is not meant for nodes, which would otherwise have by themselves
	// what all their pods may have.
	if d.server.isNode(who) {
		return verdict{decision: audit.Denied, detail: "a node may watch, and reads nothing by itself"}
	}
	ruling := d.snapshot.Decide(d.view(who), name)
	switch ruling.Answer {
	case store.Given:
		return d.give(ruling)
	case store.Missing:
		return verdict{decision: audit.Missing}
	case store.Undecided:
		return verdict{decision: audit.Invalid, detail: ruling.Detail}
	default:
		return verdict{decision: audit.Denied, detail: ruling.Detail}
	}
}

func (d *decisions) give(ruling store.Ruling) verdict {
	e := ruling.Entry
	opened := d.open(e)
	if opened.fault != "" {
		return verdict{decision: audit.Invalid, detail: opened.fault, team: e.Team, version: e.Version}
	}
	return verdict{decision: audit.Allowed, team: e.Team, version: e.Version, value: opened.value, rule: ruling.Rule.Label()}
}

func (d *decisions) open(e store.Entry) opening {
	at := ofTeam{e.Team, e.Name}
	if known, found := d.opened[at]; found {
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
	d.opened[at] = opened
	return opened
}

// record is that of one decision.
func (d *decisions) record(who auth.Caller, name entry.Name, ruling verdict) audit.Record {
	record := d.common
	record.Caller, record.Kind, record.Entry = who, name.Kind, name.ID
	record.Team, record.Version, record.Decision, record.Detail = ruling.team, ruling.version, ruling.decision, ruling.detail
	return record
}

// stranger is the record of a token that is not taken.
func (d *decisions) stranger(known identity) audit.Record {
	record := d.common
	record.Caller, record.Decision, record.Detail = known.who, audit.Unauthenticated, known.refused
	return record
}

// refuse ends a call that is refused as a whole, once that is written down.
func (d *decisions) refuse(ctx context.Context, why string) error {
	if err := d.commit(ctx, one(d.stranger(identity{refused: why})), false); err != nil {
		return err
	}
	if over := gate.Of(ctx); over != nil {
		over.Refused()
	}
	return status.Error(codes.Unauthenticated, why)
}

// commit writes the decisions down. Without that nothing may be answered. handsOut tells
// that some of them allow, so that their outcome is of interest.
func (d *decisions) commit(ctx context.Context, records iter.Seq[audit.Record], handsOut bool) error {
	began := time.Now()
	err := d.server.audit.Write(ctx, d.server.observed(records))
	d.server.config.Observer.Audited(time.Since(began), err != nil)
	if err != nil {
		d.server.logLost(ctx, "refusing to answer unrecorded", d.common.Request, err)
		return status.Error(codes.Unavailable, "core cannot write its audit log")
	}
	if handsOut {
		intent := d.common // and not with it all that is decided on, which the call may outlive by far
		callOf(ctx).intent = &intent
	}
	return nil
}
