package envshim

import (
	"context"
	"hash/maphash"
)

// Follow calls use with what the volume at dir holds, at once and whenever a delivered
// value changed, came or was withdrawn, until ctx is done. An error of the first call
// ends it; later ones are told, and what use made before stands until the next change.
func Follow(ctx context.Context, dir string, tell func(error), use func(Snapshot) error) error {
	changed := Watcher{Dir: dir, Poll: slowPoll, Warn: tell}.Watch(ctx)
	fingerprints := fingerprinter{maphash.MakeSeed()}
	snapshot, err := Read(dir)
	if err == nil {
		err = use(snapshot)
	}
	if err != nil {
		return err
	}
	last := fingerprints.of(snapshot.Entries)
	for range changed {
		snapshot, err := Read(dir)
		if err != nil {
			tell(err)
			continue
		}
		if now := fingerprints.of(snapshot.Entries); now != last {
			last = now
			if err := use(snapshot); err != nil {
				tell(err)
			}
		}
	}
	return nil
}
