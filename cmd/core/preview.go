package main

import (
	"context"
	"errors"
	"slices"

	"github.com/leoflow/secrets-csi/pkg/coreserver/entry"
	"github.com/leoflow/secrets-csi/pkg/coreserver/rule"
	"github.com/leoflow/secrets-csi/pkg/coreserver/store"
	"github.com/leoflow/secrets-csi/pkg/delivery/render"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/policy"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// preview is what a volume would hold.
type preview struct {
	entries []previewEntry
	notices []previewNotice
	grades  []previewGrade

	files       *store.Store
	origins     map[entry.Name]store.Origin
	connections []render.Connection
	variables   []render.Variable
}

type previewEntry struct {
	layout.Entry
	value secret.Text
}

// newPreview decides and renders, as the driver does, what subject may read of files;
// everything, where subject is nil.
func newPreview(ctx context.Context, files *store.Store, format render.Format, subject *rule.Subject) preview {
	p := preview{files: files, origins: map[entry.Name]store.Origin{}}
	snapshot := files.Current()
	for e := range snapshot.All() {
		if subject == nil || snapshot.Rules.CanRead(*subject, e.Name) {
			p.add(ctx, e)
		}
	}
	for _, e := range snapshot.Nameless {
		p.notices = append(p.notices, newNotice(e.Name, e.Origin, codeInvalid, e.Invalid))
	}
	p.take(render.Render(format, p.connections, p.variables))
	slices.SortStableFunc(p.notices, compareNotices)
	return p
}

// add opens an entry and decides on it; what cannot be is a notice.
func (p *preview) add(ctx context.Context, e store.Entry) {
	p.origins[e.Name] = e.Origin
	for _, loss := range e.Losses {
		p.notice(e.Name, codeLoss, loss)
	}
	value, err := p.files.Open(e)
	switch {
	case err != nil:
		p.notice(e.Name, codeInvalid, err.Error())
		p.grade(e, policy.Grade{State: policy.Broken, Reason: err.Error()})
	case e.Name.Kind == entry.Variable:
		p.variables = append(p.variables, render.Variable{Key: e.Name.ID, Value: value.Text})
	default:
		p.decide(ctx, e, value)
	}
}

// errReference stands for the secret of a reference, which only a pod can fetch.
var errReference = errors.New("a reference is fetched under the pod's own identity")

func (p *preview) decide(ctx context.Context, e store.Entry, value store.Value) {
	p.grade(e, policy.Probe(value.Connection))
	decided, err := policy.Clouds().Process(ctx, value.Connection, func(context.Context, policy.Reference) (secret.Text, error) {
		return secret.Text{}, errReference
	})
	switch {
	case errors.Is(err, errReference):
		p.notice(e.Name, codeReference, "holds a reference, which is fetched under the pod's own identity; the value is not known here")
	case err != nil:
		p.notice(e.Name, codeInvalid, err.Error())
	default:
		p.connections = append(p.connections, render.Decided(decided, e.Version, ""))
	}
}

func (p *preview) notice(name entry.Name, code, message string) {
	p.notices = append(p.notices, newNotice(name, p.origins[name], code, message))
}

func (p *preview) take(output render.Output) {
	for _, failure := range output.Failures {
		p.notice(entry.Name{Kind: entry.Kind(failure.Name.Kind), ID: failure.Name.ID}, codeInvalid, failure.Detail)
	}
	content := map[string][]byte{}
	for _, file := range output.Files {
		content[file.Path] = file.Data
	}
	for _, e := range output.Entries {
		p.entries = append(p.entries, previewEntry{e, secret.New(string(content[e.File]))})
		name := entry.Name{Kind: entry.Kind(e.Kind), ID: e.ID}
		for _, notice := range e.Notices {
			p.notice(name, notice.Code, notice.Message)
		}
		if e.Grade != nil && e.Grade.State == string(policy.Broken) {
			p.notice(name, codeBroken, e.Grade.Reason)
		}
	}
}
