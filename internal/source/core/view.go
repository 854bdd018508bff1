package core

import (
	"fmt"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// view is what this node knows of core's names and versions. It outlives a stream, so
// that the next one is asked only for what came since.
type view struct {
	notify func(provider.Change)

	revision string
	versions map[entry.Name]string // nil until the first resync

	// continues: the next stream takes the last one's place, of the node's own accord.
	continues bool
}

// forget voids what is known: the next stream starts with a resync.
func (v *view) forget() { v.revision, v.versions = "", nil }

// take takes one message in, and notifies of what it changed. gap says that nobody knows what did.
// A message that makes no sense voids the view.
func (v *view) take(message *secretsv1.WatchResponse) (gap bool, err error) {
	entries, err := readEntries(message.GetEntries(), message)
	if err != nil {
		v.forget()
		return false, err
	}
	shown, err := readEntries(message.GetShown(), message)
	if err != nil {
		v.forget()
		return false, err
	}
	switch {
	case message.GetResync():
		v.resync(entries, message.GetRevision())
	case v.isGap(message):
		v.versions = nil
		v.notify(provider.Change{All: true})
		gap = true
	case len(entries) > 0:
		v.change(entries)
	}
	v.revision = message.GetRevision()
	if v.versions != nil {
		for _, listed := range shown {
			v.versions[listed.name] = listed.version
		}
	}
	return gap, nil
}

// isGap tells a state that no message led to: one was lost. On a scoped stream each says what it
// leads from; on another, only a change leads to another state.
func (v *view) isGap(message *secretsv1.WatchResponse) bool {
	switch {
	case v.revision == "":
		return true
	case message.Since != nil:
		return message.GetSince() != v.revision
	default:
		return len(message.GetEntries()) == 0 && v.revision != message.GetRevision()
	}
}

// resync notifies of what differs from before; of everything where there is no before,
// or where it is not to be seen what made the difference.
func (v *view) resync(entries []entryVersion, revision string) {
	before := v.versions
	v.versions = make(map[entry.Name]string, len(entries))
	var changed []entry.Name
	for _, listed := range entries {
		v.versions[listed.name] = listed.version
		if before[listed.name] != listed.version {
			changed = append(changed, listed.name)
		}
	}
	for name := range before {
		if _, still := v.versions[name]; !still {
			changed = append(changed, name)
		}
	}
	switch {
	case before == nil, len(changed) == 0 && revision != v.revision:
		v.notify(provider.Change{All: true})
	case len(changed) > 0:
		v.notify(provider.Change{Entries: changed})
	}
}

// change notifies of every entry listed, the unchanged ones too: core knows better.
func (v *view) change(entries []entryVersion) {
	changed := make([]entry.Name, len(entries))
	for i, listed := range entries {
		changed[i] = listed.name
		switch {
		case v.versions == nil: // nothing to keep up to date
		case listed.version == "":
			delete(v.versions, listed.name)
		default:
			v.versions[listed.name] = listed.version
		}
	}
	v.notify(provider.Change{Entries: changed})
}

type entryVersion struct {
	name    entry.Name
	version string
}

// readEntries reads one of the message's lists.
func readEntries(list []*secretsv1.EntryVersion, message *secretsv1.WatchResponse) ([]entryVersion, error) {
	if message.GetRevision() == "" {
		return nil, fmt.Errorf("%w: a watch message has no revision", provider.ErrProtocol)
	}
	entries := make([]entryVersion, len(list))
	for i, listed := range list {
		name := entry.Name{Kind: kindOf(listed.GetKind()), ID: listed.GetName()}
		if name.Kind == "" || name.ID == "" || (message.GetResync() && listed.GetVersion() == "") {
			return nil, fmt.Errorf("%w: a watch message names entry %d without a kind, a name or a version", provider.ErrProtocol, i)
		}
		entries[i] = entryVersion{name, listed.GetVersion()}
	}
	return entries, nil
}
