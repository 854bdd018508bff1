package coreserver

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

const (
	lookEvery = time.Second
	// longestRest is between two looks at a database that does not answer.
	longestRest = 8 * time.Second
)

// follow looks into Airflow's database once, before core answers anybody, and returns what goes on
// doing so until ctx ends.
func (s *Server) follow(ctx context.Context) func() {
	failures := s.lookIntoMetastore(ctx, 0)
	return func() {
		defer s.metastore.Close()
		for {
			timer := time.NewTimer(rest(failures))
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
				failures = s.lookIntoMetastore(ctx, failures)
			}
		}
	}
}

// rest grows with each failure, and differs between replicas.
func rest(failures int) time.Duration {
	base := min(lookEvery<<min(failures, 8), longestRest)
	return base - time.Duration(rand.Int64N(int64(base/8)))
}

// lookIntoMetastore returns how many looks have failed in a row.
func (s *Server) lookIntoMetastore(ctx context.Context, failures int) int {
	var err error
	defer s.contain(ctx, "metastore", &err)
	found, err := s.metastore.Look(ctx)
	if ctx.Err() != nil {
		return failures
	}
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	s.config.Observer.Asked("metastore", outcome)
	s.reloading.Lock()
	defer s.reloading.Unlock()
	before := s.store.Current()
	changed, fault := s.store.Take(found, err)
	if fault != nil {
		s.config.Log.Error("keeping what was last read in good order", logkey.Error, fault)
	}
	s.config.Observer.Dropped(s.store.Current().Lost(before))
	if changed {
		current := s.store.Current()
		s.config.Log.Info("the metastore has changed", logkey.Entries, current.Len(), logkey.Version, current.Revision)
		s.logInvalid(current, before)
	}
	if err != nil {
		return failures + 1
	}
	return 0
}
