// Package store keeps what core serves: the entries of two export files and the rules,
// as one immutable snapshot that is replaced whole.
package store

import (
	"errors"
	"slices"
	"sync"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
)

// Config says where things are. Each file may be left out; without Rules everybody is
// denied everything.
type Config struct {
	Connections string
	Variables   string
	Rules       string
	// SealKey opens sealed values; nil where there are none.
	SealKey   *seal.Key
	Versioner Versioner
}

// Store serves snapshots of the files. It is safe for concurrent use.
type Store struct {
	*History
	versioner Versioner
	key       *seal.Key

	reloading   sync.Mutex
	connections source[[]Entry]
	variables   source[[]Entry]
	rules       source[rule.Set]
}

// New reads the files and fails where one of them cannot be read as a whole. A single
// broken entry is no such failure; it is served as invalid.
func New(config Config) (*Store, error) {
	s := &Store{
		versioner:   config.Versioner,
		key:         config.SealKey,
		connections: source[[]Entry]{path: config.Connections, parse: parseConnections},
		variables:   source[[]Entry]{path: config.Variables, parse: parseVariables},
		rules:       source[rule.Set]{path: config.Rules, parse: rule.Parse},
	}
	if _, err := s.read(); err != nil {
		return nil, err
	}
	s.History = NewHistory(s.snapshot())
	return s, nil
}

// Reload reads the files again and publishes what is new. A file that is wrong keeps
// its last good content and no other from changing; each fault is returned once.
func (s *Store) Reload() (changed bool, err error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	read, faults := s.read()
	if !read {
		return false, faults
	}
	return s.Publish(s.snapshot()), faults
}

func (s *Store) read() (changed bool, err error) {
	var faults []error
	for _, reload := range []func() (bool, error){s.connections.reload, s.variables.reload, s.rules.reload} {
		read, err := reload()
		changed = changed || read
		faults = append(faults, err)
	}
	return changed, errors.Join(faults...)
}

func (s *Store) snapshot() *Snapshot {
	return newSnapshot(slices.Concat(s.connections.value, s.variables.value), s.rules.value, s.versioner)
}

// Files lists the paths that Reload reads.
func (s *Store) Files() []string {
	var paths []string
	for _, path := range []string{s.connections.path, s.variables.path, s.rules.path} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	return paths
}
