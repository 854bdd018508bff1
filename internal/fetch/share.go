package fetch

import (
	"sync"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// shared is what volumes of one call show alike: those that were given the same, want it in the same
// format and show nothing that decides. Policy and rendering then have one outcome, unless references are to
// be resolved, which each pod does for itself.
type shared struct {
	fetcher *Fetcher
	work    seam.Work
	// identities are the pods'.
	identities identities

	mu    sync.Mutex
	alike map[alike]func() ([]seam.Entry, bool)
}

// alike tells what is given by where it is in memory.
type alike struct {
	first  *entry.Entry
	count  int
	format seam.Format
}

// linesOf is what the volume is to show, or false where that is found for it alone.
func (s *shared) linesOf(v seam.Volume, given []entry.Entry) (lines []seam.Entry, found bool) {
	if len(s.work.Volumes) == 1 || len(given) == 0 || len(v.Shown) > 0 {
		return nil, false
	}
	key := alike{&given[0], len(given), v.Format}
	s.mu.Lock()
	made := s.alike[key]
	if made == nil {
		if s.alike == nil {
			s.alike = map[alike]func() ([]seam.Entry, bool){}
		}
		made = sync.OnceValues(func() ([]seam.Entry, bool) { return s.make(v.Format, given) })
		s.alike[key] = made
	}
	s.mu.Unlock()
	return made()
}

// make does it once for all. What panics is left to each volume, which tells of it.
func (s *shared) make(format seam.Format, given []entry.Entry) (lines []seam.Entry, found bool) {
	defer func() {
		if recover() != nil {
			lines, found = nil, false
		}
	}()
	entries, referring := s.fetcher.decider.applyAll(s.work, given)
	if len(referring) > 0 {
		return nil, false
	}
	s.fetcher.render(format, entries, nil)
	return linesOf(entries), true
}
