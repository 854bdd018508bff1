package coreserver

import (
	"context"

	"google.golang.org/grpc"
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
	records  []audit.Record
	common   audit.Record // what the call's records share
	opened   map[ofTeam]opening
	views    map[rule.Subject]rule.View
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
	method, _ := grpc.Method(ctx)
	return &decisions{
		server:   s,
		snapshot: s.store.Current(),
		common:   audit.Record{Time: s.config.Now().UTC(), Method: method, Peer: peerAddress(ctx)},
		opened:   map[ofTeam]opening{},
		views:    map[rule.Subject]rule.View{},
	}
}

// caller says who token speaks for. refused is the reason where it speaks for nobody;
// err is a status where core cannot tell.
func (d *decisions) caller(ctx context.Context, token secret.Text) (who auth.Caller, refused string, err error) {
	known, err := d.server.identify(ctx, token)
	if err != nil {
		return auth.Caller{}, "", err
	}
	d.recognise(known)
	return known.who, known.refused, nil
}

// recognise records a token that speaks for nobody. One that speaks for somebody is in
// the records of what that gets.
func (d *decisions) recognise(known identity) {
	if known.refused != "" {
		d.record(auth.Caller{}, audit.Record{Decision: audit.Unauthenticated, Detail: known.refused})
	}
}

// readable names the entries of one kind that who may have. It fails, with a status, where
// core cannot tell.
func (d *decisions) readable(who auth.Caller, kind entry.Kind) ([]entry.Name, error) {
	if d.server.isNode(who) {
		return nil, nil
	}
	names, err := d.snapshot.Readable(d.view(who), kind)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
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

// on decides whether who gets name, and records it. Rules come first: whether a denied
// entry exists is not looked at.
func (d *decisions) on(who auth.Caller, name entry.Name) verdict {
	ruling := d.rule(who, name)
	d.record(who, audit.Record{
		Kind: name.Kind, Entry: name.ID, Team: ruling.team, Version: ruling.version,
		Decision: ruling.decision, Detail: ruling.detail,
	})
	return ruling
}

func (d *decisions) rule(who auth.Caller, name entry.Name) verdict {
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

func (d *decisions) record(who auth.Caller, record audit.Record) {
	record.Time, record.Method, record.Peer, record.Caller = d.common.Time, d.common.Method, d.common.Peer, who
	d.records = append(d.records, record)
}

// commit writes the decisions down. Without that nothing may be answered.
func (d *decisions) commit() error {
	if err := d.server.audit.Write(d.records...); err != nil {
		d.server.config.Log.Error("refusing to answer unrecorded", logkey.Error, err)
		return status.Error(codes.Unavailable, "core cannot write its audit log")
	}
	return nil
}
