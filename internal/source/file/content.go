package file

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/regular"
	"github.com/leoflow/secrets-csi/pkg/airflow/export"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// content is what the files hold, by name.
type content map[entry.Name]entry.Entry

func (p *Provider) read() (content, error) {
	held := content{}
	if err := p.readConnections(held); err != nil {
		return nil, err
	}
	return held, p.readVariables(held)
}

func (p *Provider) readConnections(held content) error {
	if p.config.Connections == "" {
		return nil
	}
	text, err := regular.Read(p.config.Connections, export.MaxSize)
	if err != nil {
		return err
	}
	connections, faults, err := export.ReadConnections(filepath.Base(p.config.Connections), text, nil)
	if err != nil {
		return err
	}
	for _, found := range connections {
		name := entry.Name{Kind: entry.Connection, ID: found.ID}
		held[name] = entry.OfConnection(found.Connection, p.versions.Of(name, string(found.Connection.JSON())))
	}
	held.add(entry.Connection, faults)
	return nil
}

func (p *Provider) readVariables(held content) error {
	if p.config.Variables == "" {
		return nil
	}
	text, err := regular.Read(p.config.Variables, export.MaxSize)
	if err != nil {
		return err
	}
	variables, faults, err := export.ReadVariables(filepath.Base(p.config.Variables), text)
	if err != nil {
		return err
	}
	for _, found := range variables {
		name := entry.Name{Kind: entry.Variable, ID: found.Key}
		held[name] = entry.OfVariable(found.Key, found.Value, p.versions.Of(name, found.Value.Reveal()))
	}
	held.add(entry.Variable, faults)
	return nil
}

func (c content) add(kind entry.Kind, faults []*export.EntryError) {
	for _, fault := range faults {
		name := entry.Name{Kind: kind, ID: fault.ID}
		c[name] = entry.Refused(name, entry.Invalid, fault.Error())
	}
}

// asked hands the content over, since it is read anew for each: in the order asked, or
// sorted where that is all there are.
func (c content) asked(kind entry.Kind, selection provider.Selection) (entries []entry.Entry) {
	for _, id := range selection.Names {
		held, exists := c[entry.Name{Kind: kind, ID: id}]
		if !exists {
			held = entry.Refused(entry.Name{Kind: kind, ID: id}, entry.Missing, "")
		}
		entries = append(entries, held)
	}
	if selection.All {
		for name, held := range c {
			if name.Kind == kind {
				entries = append(entries, held)
			}
		}
		slices.SortFunc(entries, func(a, b entry.Entry) int { return strings.Compare(a.ID, b.ID) })
	}
	return entries
}
