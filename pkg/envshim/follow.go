package envshim

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"
)

// Follow calls use with what the volume at dir holds, at once and whenever a delivered
// value changed, came or was withdrawn, until ctx is done. An error of the first call
// ends it. A later one, or a volume that cannot be read, is told once and tried again
// until it succeeds, which is told too; what use made before stands meanwhile.
func Follow(ctx context.Context, dir string, tell func(line string), use func(Snapshot) error) error {
	var deaf error
	changed := Watcher{Dir: dir, Poll: slowPoll, Warn: func(err error) { deaf = err }}.Watch(ctx)
	f := &follower{dir: dir, tell: tell, use: use, fingerprinter: fingerprinter{maphash.MakeSeed()}}
	snapshot, err := Read(dir)
	if err == nil {
		err = use(snapshot)
	}
	if err != nil {
		return err
	}
	if deaf != nil {
		tell(describeDeaf(deaf))
	}
	f.last = f.of(snapshot.Entries)
	f.loop(changed)
	return nil
}

// follower is one run of Follow after its first success.
type follower struct {
	dir  string
	tell func(line string)
	use  func(Snapshot) error
	fingerprinter
	last    fingerprint // of what use took
	failing bool
}

func (f *follower) loop(changed <-chan struct{}) {
	var again <-chan time.Time
	for {
		select {
		case _, open := <-changed:
			if !open {
				return
			}
		case <-again:
		}
		again = nil
		if f.report(f.look()); f.failing {
			again = time.After(slowPoll)
		}
	}
}

func (f *follower) look() error {
	snapshot, err := Read(f.dir)
	if err != nil {
		return err
	}
	now := f.of(snapshot.Entries)
	if now == f.last {
		return nil
	}
	if err := f.use(snapshot); err != nil {
		return err
	}
	f.last = now
	return nil
}

// report tells when failing begins and when it ends.
func (f *follower) report(err error) {
	switch {
	case err != nil && !f.failing:
		f.tell(fmt.Sprintf("%v; trying again every %s", err, slowPoll))
	case err == nil && f.failing:
		f.tell("following the volume again: what failed before has succeeded")
	}
	f.failing = err != nil
}
