package mount

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// plan is a generation as it is to be: what is new, and what is carried over.
type plan struct {
	// lines are sorted, connections first, so that their order tells of no more than they
	// do.
	lines []line
	// known are identities of which lines may speak.
	known []Identity
}

// line is one entry of a plan. Its bytes are secrets.
type line struct {
	layout.Entry
	value, json []byte
	// carried is set if all of it stood in the volume before, optional if a new one may do without.
	carried, optional bool
}

// newPlan settles content against what the volume shows.
func newPlan(content Content, stands *standing) plan {
	p := plan{lines: make([]line, 0, len(content.Entries)+len(stands.entries))}
	named := make(map[layout.Name]bool, len(content.Entries))
	for _, entry := range content.Entries {
		if made, ok := settle(entry, content.Manifest.Fetched, stands); ok {
			p.lines = append(p.lines, made)
		}
		named[entry.Name()] = true
	}
	for key := range stands.at {
		if !named[key] && content.carries(key) {
			if made, ok := stands.line(key); ok {
				p.lines = append(p.lines, made)
			}
		}
	}
	slices.SortFunc(p.lines, func(a, b line) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID)) })
	p.withIdentities(content, stands)
	return p
}

// settle makes an entry's line; false if there is to be none.
func settle(entry Entry, now time.Time, stands *standing) (line, bool) {
	fresh := line{Entry: entry.Entry, value: entry.Value, json: entry.JSON, optional: entry.Optional}
	if !entry.Hold {
		fresh.Version = stands.versionOf(fresh)
		return fresh, true
	}
	held, there := stands.line(entry.Name())
	switch {
	case entry.Why == "":
		return held, there
	case !there || held.State != layout.Delivered:
		return line{Entry: entry.Entry}, true
	}
	return held.hold(now, entry.Why), true
}

// hold marks a line that was carried over. Since when it has been held stays.
func (l line) hold(now time.Time, why string) line {
	since := now.UTC()
	if l.Held != nil {
		since = l.Held.Since
	}
	l.Held = &layout.Held{Since: since, Why: why}
	return l
}

// files are those of the generation, but for the manifest.
func (p plan) files() []File {
	files := make([]File, 0, len(p.lines)+3)
	for _, l := range p.lines {
		if l.State == layout.Delivered {
			files = append(files, File{Path: l.File, Data: l.value})
		}
	}
	for _, one := range p.identities() {
		files = append(files, one.files()...)
	}
	// Both are always there, since LocalFilesystemBackend refuses to start on a configured
	// file that is not.
	return append(files,
		File{Path: layout.ConnectionsJSON, Data: p.object(layout.Connection)},
		File{Path: layout.VariablesJSON, Data: p.object(layout.Variable)})
}

// object is a JSON object of the values of one kind, in the order of their lines.
func (p plan) object(kind layout.Kind) []byte {
	size, stands := len("{\n\n}\n"), func(l line) bool { return l.Kind == kind && l.State == layout.Delivered && l.json != nil }
	for _, l := range p.lines {
		if stands(l) {
			size += len(l.ID) + len(l.json) + len(`"": `) + len(",\n")
		}
	}
	text := append(make([]byte, 0, size), '{')
	for _, l := range p.lines {
		if !stands(l) {
			continue
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(append(jsontext.AppendText(append(text, '\n'), l.ID), ": "...), l.json...)
	}
	if len(text) > 1 {
		text = append(text, '\n')
	}
	return append(text, "}\n"...)
}

// entries are the lines of the manifest.
func (p plan) entries() []layout.Entry {
	entries := make([]layout.Entry, len(p.lines))
	for i, l := range p.lines {
		entries[i] = l.Entry
	}
	return entries
}

// encode encodes the manifest of generation number generation. One that nobody could read would
// take all files from whoever reads them, and from the next Write what it has to carry over.
func encode(manifest layout.Manifest, generation uint64) ([]byte, error) {
	manifest.Schema = layout.Schema
	manifest.Generation = generation
	text, err := manifest.Encode()
	if len(text) > layout.MaxManifestSize {
		return nil, fmt.Errorf("%w: the manifest of %d entries has %d bytes, and no reader takes more than %d: ask for fewer entries",
			ErrFull, len(manifest.Entries), len(text), layout.MaxManifestSize)
	}
	return text, err
}
