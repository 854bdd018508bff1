package main

import (
	"slices"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/internal/deliver/render"
	"github.com/leoflow/secrets-csi/internal/policy"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// preview is what a volume would hold.
type preview struct {
	entries []previewEntry
	notices []previewNotice
	grades  []previewGrade

	files   *store.Store
	origins map[entry.Name]store.Origin
	decided []entry.Entry
}

type previewEntry struct {
	layout.Entry
	value secret.Text
}

// newPreview decides and renders, as the driver does, what subject may read of files;
// everything, where subject is nil.
func newPreview(files *store.Store, format render.Format, subject *rule.Subject) preview {
	p := preview{files: files, origins: map[entry.Name]store.Origin{}}
	snapshot := files.Current()
	for e := range snapshot.All() {
		if subject == nil || snapshot.Rules.CanRead(*subject, e.Name) {
			p.add(e)
		}
	}
	for _, e := range snapshot.Nameless {
		p.notices = append(p.notices, newNotice(e.Name, e.Origin, codeInvalid, e.Invalid))
	}
	render.Render(format, p.decided, nil)
	p.take()
	slices.SortStableFunc(p.notices, compareNotices)
	return p
}

// add opens an entry and decides on it; what cannot be is a notice.
func (p *preview) add(e store.Entry) {
	p.origins[e.Name] = e.Origin
	for _, loss := range e.Losses {
		p.notice(e.Name, codeLoss, loss)
	}
	value, err := p.files.Open(e)
	switch {
	case err != nil:
		p.notice(e.Name, codeInvalid, err.Error())
		p.grade(e, entry.Grade{State: policy.Broken, Reason: err.Error()})
	case e.Name.Kind == entry.Variable:
		p.decided = append(p.decided, entry.OfVariable(e.Name.ID, value.Text, e.Version))
	default:
		p.decide(e, value)
	}
}

func (p *preview) decide(e store.Entry, value store.Value) {
	p.grade(e, policy.Probe(value.Connection))
	decided := entry.OfConnection(value.Connection, e.Version)
	policy.Apply(&decided)
	if decided.Reference != nil {
		p.notice(e.Name, codeReference, "holds a reference, which is fetched under the pod's own identity; the value is not known here")
		return
	}
	p.decided = append(p.decided, decided)
}

func (p *preview) notice(name entry.Name, code, message string) {
	p.notices = append(p.notices, newNotice(name, p.origins[name], code, message))
}

// take sorts what was rendered into what is delivered and what is to be noticed.
func (p *preview) take() {
	for _, e := range p.decided {
		if e.State != entry.Delivered {
			p.notice(e.Name(), codeInvalid, e.Reason())
			continue
		}
		p.entries = append(p.entries, previewEntry{e.Entry, secret.New(string(e.Value))})
		for _, notice := range e.Notices {
			p.notice(e.Name(), notice.Code, notice.Message)
		}
		if e.Grade != nil && e.Grade.State == policy.Broken {
			p.notice(e.Name(), codeBroken, e.Grade.Reason)
		}
	}
}
