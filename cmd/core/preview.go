package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/leoflow/secrets-csi/pkg/coreserver/entry"
	"github.com/leoflow/secrets-csi/pkg/coreserver/rule"
	"github.com/leoflow/secrets-csi/pkg/coreserver/store"
	"github.com/leoflow/secrets-csi/pkg/delivery/render"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// preview is what a volume would hold.
type preview struct {
	entries []previewEntry
	notices []previewNotice
}

type previewEntry struct {
	layout.Entry
	value secret.Text
}

// previewNotice is a remark on an entry, with the place where that stands.
type previewNotice struct {
	Kind    string `json:"kind"`
	ID      string `json:"id"`
	Code    string `json:"code"`
	Message string `json:"message"`
	File    string `json:"file"`
	Line    int    `json:"line"`
}

func (n previewNotice) String() string {
	return fmt.Sprintf("%s:%d: %s %q: %s", n.File, n.Line, n.Kind, n.ID, n.Message)
}

func compareNotices(a, b previewNotice) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Code, b.Code))
}

// codeInvalid marks an entry that is not delivered.
const codeInvalid = "invalid"

// newPreview renders what subject may read of files; everything, where subject is nil.
func newPreview(files *store.Store, format render.Format, subject *rule.Subject) preview {
	var p preview
	var connections []render.Connection
	var variables []render.Variable
	origins := map[entry.Name]store.Origin{}
	snapshot := files.Current()
	for e := range snapshot.All() {
		if subject != nil && !snapshot.Rules.CanRead(*subject, e.Name) {
			continue
		}
		origins[e.Name] = e.Origin
		value, err := files.Open(e)
		switch {
		case err != nil:
			p.notice(e.Name, e.Origin, codeInvalid, err.Error())
		case e.Name.Kind == entry.Connection:
			connections = append(connections, render.Connection{Connection: value.Connection})
		default:
			variables = append(variables, render.Variable{Key: e.Name.ID, Value: value.Text})
		}
	}
	for _, e := range snapshot.Nameless {
		p.notice(e.Name, e.Origin, codeInvalid, e.Invalid)
	}
	output := render.Render(format, connections, variables)
	p.take(output, origins)
	slices.SortStableFunc(p.notices, compareNotices)
	return p
}

func (p *preview) notice(name entry.Name, origin store.Origin, code, message string) {
	p.notices = append(p.notices, previewNotice{string(name.Kind), name.ID, code, message, origin.File, origin.Line})
}

func (p *preview) take(output render.Output, origins map[entry.Name]store.Origin) {
	for _, failure := range output.Failures {
		name := entry.Name{Kind: entry.Kind(failure.Name.Kind), ID: failure.Name.ID}
		p.notice(name, origins[name], codeInvalid, failure.Detail)
	}
	content := map[string][]byte{}
	for _, file := range output.Files {
		content[file.Path] = file.Data
	}
	for _, e := range output.Entries {
		p.entries = append(p.entries, previewEntry{e, secret.New(string(content[e.File]))})
		name := entry.Name{Kind: entry.Kind(e.Kind), ID: e.ID}
		for _, notice := range e.Notices {
			p.notice(name, origins[name], notice.Code, notice.Message)
		}
	}
}
