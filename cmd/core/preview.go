package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/internal/fetch/render"
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
	count   int // of entries that were looked at

	files   *store.Store
	origins map[entry.Name]store.Origin // of those of one team, as decided
	decided []entry.Entry
}

type previewEntry struct {
	layout.Entry
	value secret.Text
}

// newPreview decides and renders, as the driver does, what subject would get of files;
// everything, where subject is nil.
func newPreview(files *store.Store, format render.Format, subject *rule.Subject) preview {
	p := preview{files: files}
	if subject == nil {
		p.everything(format)
	} else {
		p.of(*subject, format)
	}
	for _, e := range files.Current().Nameless {
		p.notices = append(p.notices, newNotice(e.Name, e.Origin, codeInvalid, e.Invalid))
	}
	for _, file := range files.Status() {
		if file.Fault != "" {
			p.notices = append(p.notices, previewNotice{Code: codeFile, Message: file.Fault, File: file.File})
		}
	}
	slices.SortStableFunc(p.notices, compareNotices)
	return p
}

// everything renders what is each team's, and what is for all, apart from the others': no
// volume holds entries of two teams.
func (p *preview) everything(format render.Format) {
	byTeam := map[string][]store.Entry{}
	for e := range p.files.Current().All() {
		byTeam[e.Team] = append(byTeam[e.Team], e)
	}
	for _, team := range slices.Sorted(maps.Keys(byTeam)) {
		p.render(format, byTeam[team])
	}
}

func (p *preview) of(subject rule.Subject, format render.Format) {
	snapshot := p.files.Current()
	view := snapshot.Rules.For(subject)
	var given []store.Entry
	for w := range snapshot.Watched() {
		switch ruling := snapshot.Decide(view, w.Name); ruling.Answer {
		case store.Given:
			given = append(given, ruling.Entry)
		case store.Undecided:
			p.notices = append(p.notices, newNotice(w.Name, store.Origin{}, codeInvalid, ruling.Detail))
		}
	}
	p.render(format, given)
}

func (p *preview) render(format render.Format, entries []store.Entry) {
	p.count += len(entries)
	p.origins, p.decided = map[entry.Name]store.Origin{}, nil
	for _, e := range entries {
		p.add(e)
	}
	render.Render(format, p.decided, nil)
	p.take()
}

// add opens an entry and decides on it; what cannot be is a notice.
func (p *preview) add(e store.Entry) {
	p.origins[e.Name] = e.Origin
	for _, loss := range e.Losses {
		p.notice(e.Name, codeLoss, loss)
	}
	if e.HasOldSeal() {
		p.notice(e.Name, codeOldSeal, "is sealed by version 1, which opens at whatever host the file names: seal the file again by core seal")
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

// previewGrade is what can be said of a connection by looking at it as it is stored.
type previewGrade struct {
	ID string `json:"id"`
	entry.Grade
	File string `json:"file"`
	Line int    `json:"line"`
}

func (p *preview) grade(e store.Entry, grade entry.Grade) {
	if e.Name.Kind == entry.Connection {
		p.grades = append(p.grades, previewGrade{e.Name.ID, grade, e.Origin.File, e.Origin.Line})
	}
}

func sortGrades(grades []previewGrade) {
	slices.SortFunc(grades, func(a, b previewGrade) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.ID, b.ID))
	})
}

// Codes of notices, beside those of policy and render.
const (
	codeInvalid   = "invalid"                // the entry is not delivered
	codeBroken    = "broken"                 // it is, and will not work
	codeLoss      = "lost-in-reading"        // it is delivered, and less than what is written
	codeFile      = "file"                   // the file is not in force
	codeReference = "fetched-when-delivered" // its value is not known here
	codeOldSeal   = "sealed-by-version-1"    // it is delivered, also where somebody redirects it
)

// previewNotice is a remark on an entry, with the place where that stands.
type previewNotice struct {
	Kind    string `json:"kind"`
	ID      string `json:"id"`
	Code    string `json:"code"`
	Message string `json:"message"`
	File    string `json:"file"`
	Line    int    `json:"line"`
}

func newNotice(name entry.Name, at store.Origin, code, message string) previewNotice {
	return previewNotice{string(name.Kind), name.ID, code, message, at.File, at.Line}
}

func (n previewNotice) String() string {
	if n.Code == codeFile {
		return n.Message
	}
	return fmt.Sprintf("%s:%d: %s %q: %s", n.File, n.Line, n.Kind, n.ID, n.Message)
}

// isProblem tells whether something has to be mended.
func (n previewNotice) isProblem() bool {
	return n.Code == codeInvalid || n.Code == codeBroken || n.Code == codeFile
}

func compareNotices(a, b previewNotice) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Code, b.Code))
}
