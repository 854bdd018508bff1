package file

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/airflow/export"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// content is what the files hold, by name.
type content map[provider.Name]entry

// entry is a connection, a variable, or the reason why it is neither.
type entry struct {
	connection airflow.Connection
	value      secret.Text
	version    string
	fault      error
}

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
	text, err := readFile(p.config.Connections)
	if err != nil {
		return err
	}
	connections, faults, err := export.ReadConnections(filepath.Base(p.config.Connections), text, nil)
	if err != nil {
		return err
	}
	for _, found := range connections {
		name := provider.Name{Kind: provider.Connection, ID: found.ID}
		held[name] = entry{connection: found.Connection, version: p.versions.Of(name, string(found.Connection.JSON()))}
	}
	held.add(provider.Connection, faults)
	return nil
}

func (p *Provider) readVariables(held content) error {
	if p.config.Variables == "" {
		return nil
	}
	text, err := readFile(p.config.Variables)
	if err != nil {
		return err
	}
	variables, faults, err := export.ReadVariables(filepath.Base(p.config.Variables), text)
	if err != nil {
		return err
	}
	for _, found := range variables {
		name := provider.Name{Kind: provider.Variable, ID: found.Key}
		held[name] = entry{value: found.Value, version: p.versions.Of(name, found.Value.Reveal())}
	}
	held.add(provider.Variable, faults)
	return nil
}

// add keeps the entries that are broken; what is wrong with one is its version.
func (c content) add(kind provider.Kind, faults []*export.EntryError) {
	for _, fault := range faults {
		c[provider.Name{Kind: kind, ID: fault.ID}] = entry{fault: fault, version: fault.Error()}
	}
}

// readFile reads no more than an export may hold, whatever the path leads to.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, export.MaxSize+1))
	if err == nil && len(text) > export.MaxSize {
		err = fmt.Errorf("%s is larger than %d bytes", path, export.MaxSize)
	}
	return text, err
}

// result hands the content over: it is read anew for each.
func (c content) result(request provider.Request) provider.Result {
	var result provider.Result
	for _, name := range append(c.asked(provider.Connection, request.Connections), c.asked(provider.Variable, request.Variables)...) {
		held, exists := c[name]
		switch {
		case !exists:
			result.Refusals = append(result.Refusals, provider.Refusal{Name: name, Reason: provider.Missing})
		case held.fault != nil:
			result.Refusals = append(result.Refusals, provider.Refusal{Name: name, Reason: provider.Invalid, Detail: held.fault.Error()})
		case name.Kind == provider.Connection:
			result.Connections = append(result.Connections, provider.ConnectionEntry{Connection: held.connection, Version: held.version})
		default:
			result.Variables = append(result.Variables, provider.VariableEntry{Key: name.ID, Value: held.value, Version: held.version})
		}
	}
	return result
}

// asked is in the order asked, or sorted where that is all there are.
func (c content) asked(kind provider.Kind, selection provider.Selection) []provider.Name {
	var names []provider.Name
	if !selection.All {
		for _, id := range selection.Names {
			names = append(names, provider.Name{Kind: kind, ID: id})
		}
		return names
	}
	for name := range c {
		if name.Kind == kind {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b provider.Name) int { return strings.Compare(a.ID, b.ID) })
	return names
}
