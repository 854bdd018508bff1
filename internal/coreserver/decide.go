package coreserver

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
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
	opened   map[entry.Name]opening
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
	method, _ := grpc.Method(ctx)
	return &decisions{
		server:   s,
		snapshot: s.store.Current(),
		common:   audit.Record{Time: s.config.Now().UTC(), Method: method, Peer: peerAddress(ctx)},
		opened:   map[entry.Name]opening{},
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

// readable names the entries of one kind that exist and that who may read.
func (d *decisions) readable(who auth.Caller, kind entry.Kind) []entry.Name {
	var names []entry.Name
	for e := range d.snapshot.All() {
		if e.Name.Kind == kind && d.refusal(who, e.Name) == "" {
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

// on decides whether who gets name, and records it. Rules come first: whether a denied
// entry exists is not looked at.
func (d *decisions) on(who auth.Caller, name entry.Name) verdict {
	ruling := d.rule(who, name)
	d.record(who, audit.Record{
		Kind: name.Kind, Entry: name.ID, Version: ruling.version,
		Decision: ruling.decision, Detail: ruling.detail,
	})
	return ruling
}

func (d *decisions) rule(who auth.Caller, name entry.Name) verdict {
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
