// Package store keeps what core serves: the entries of export files and the rules, of all and
// of teams, as one immutable snapshot that is replaced whole.
package store

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
)

// Config says where things are. Each may be left out; without Rules everybody is denied
// everything.
type Config struct {
	// Connections and Variables are files of entries that belong to all.
	Connections string
	Variables   string
	// Entries is a folder of such files, by team.
	Entries string
	// Rules is the admin's file, or a folder with that as admin.yaml and those of teams.
	Rules string
	// Metastore names Airflow's database among the files, whose rows Take brings; empty for none.
	Metastore string
	// AllowEmpty takes a file without entries for one that has none, where it had none before.
	AllowEmpty bool
	// Memory is what core may take, in bytes, by which the files for all are bounded; 0 where nobody
	// knows.
	Memory int64
	// SealKey opens sealed values; nil where there are none.
	SealKey   *seal.Key
	Versioner Versioner
	// Now is time.Now where nil.
	Now func() time.Time
}

// Store serves snapshots of the files. It is safe for concurrent use.
type Store struct {
	*History
	versioner Versioner
	key       *seal.Key
	now       func() time.Time

	reloading sync.Mutex
	entries   *entries
	metastore *database // nil where there is none
	rules     *rules
	known     atomic.Pointer[known]
}

// known is how the files stood after the last look.
type known struct {
	status  []Status
	folders []string
}

// New reads the files and fails where one that belongs to all cannot be read as a whole. A
// single broken entry is no such failure, it is served as invalid; nor is a team's broken
// file, which Reload tells of.
func New(config Config) (*Store, error) {
	s := &Store{versioner: config.Versioner, key: config.SealKey, now: config.Now}
	if s.now == nil {
		s.now = time.Now
	}
	s.rules = newRules(config)
	s.entries = newEntries(config, s.versioner, s.rules)
	if config.Metastore != "" {
		s.metastore = newDatabase(config, s.versioner)
	}
	s.look()
	if err := s.news(func(about *Status) bool { return about.vital }); err != nil {
		return nil, err
	}
	s.History = newHistory(s.snapshot())
	return s, nil
}

// Reload reads the files again and publishes what is new. A file that is wrong keeps
// its last good content and no other from changing; each fault is returned once.
func (s *Store) Reload() (changed bool, err error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	read := s.look()
	faults := s.news(func(*Status) bool { return true })
	if !read {
		return false, faults
	}
	return s.Publish(s.snapshot()), faults
}

// look reads the rules first: they say which teams and sources there are.
func (s *Store) look() (changed bool) {
	now := s.now()
	before := s.rules.teams()
	changed = s.rules.look(now)
	if changed && !slices.EqualFunc(before, s.rules.teams(), rule.Team.Equal) {
		s.entries.again()
	}
	changed = s.entries.look(now) || changed
	changed = s.lookAtCrowded(now) || changed
	s.note()
	return changed
}

// lookAtCrowded reads what there was no room for beside the team's rules, or beside its entries, where
// there is now.
func (s *Store) lookAtCrowded(now time.Time) (changed bool) {
	if s.rules.tree == nil || s.entries.tree == nil {
		return false
	}
	if s.rules.tree.hasRoom {
		changed = s.entries.tree.lookAtCrowded(now)
	}
	if s.entries.tree.hasRoom {
		changed = s.rules.tree.lookAtCrowded(now) || changed
	}
	return changed
}

// note is for those who ask how the files stand.
func (s *Store) note() {
	found := known{folders: append(s.rules.folders(), s.entries.folders()...)}
	for _, about := range s.status() {
		found.status = append(found.status, *about)
	}
	s.known.Store(&found)
}

func (s *Store) status() []*Status {
	all := append(s.rules.status(), s.entries.status()...)
	if s.metastore != nil {
		all = append(all, &s.metastore.about)
	}
	return all
}

// news is every fault that nobody was told of yet and that matters.
func (s *Store) news(matters func(*Status) bool) error {
	var faults []error
	for _, about := range s.status() {
		if matters(about) {
			faults = append(faults, about.news())
		}
	}
	return errors.Join(faults...)
}

func (s *Store) snapshot() *Snapshot {
	entries, unknown := s.entries.all(), s.entries.unknown()
	if s.metastore != nil {
		entries = s.metastore.appendTo(entries)
		unknown = s.metastore.unknown(unknown, s.rules.teams())
	}
	return newSnapshot(entries, s.rules.set(), unknown, s.versioner)
}

// Status is how each file stood when it was last looked at.
func (s *Store) Status() []Status { return s.known.Load().status }

// Files lists the files that Reload reads, but those in Folders.
func (s *Store) Files() []string { return append(s.rules.paths(), s.entries.paths()...) }

// Folders lists the folders that Reload found, in which any file may matter.
func (s *Store) Folders() []string { return s.known.Load().folders }

// ReadAgain is how long to wait for another Reload because a file may be half written; 0
// where none is.
func (s *Store) ReadAgain() time.Duration {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.entries.isUnsettled() {
		return settling
	}
	return 0
}
