package schedule

import "time"

const (
	// maxIdle is the longest wait that Due returns.
	maxIdle = time.Hour
	// SafetyPoll is how often a volume is fetched again though a watch would tell.
	SafetyPoll = 10 * time.Minute
	// maxNoopPoll is how far polling slows down while nothing changes.
	maxNoopPoll = 5 * time.Minute
	// MinStaleAfter is the least age at which a confirmation is in doubt: that of a fetch
	// that comes as late as it may, and fails once.
	MinStaleAfter = 15 * time.Minute
	// ResyncSpread is over how long the volumes are fetched again after a gap in the watch,
	// or once a source can be asked again.
	ResyncSpread = 5 * time.Second
	// newsSpread is the same for those of which a watch told a change: what was taken away
	// leaves within a second.
	newsSpread = time.Second / 2
	// MaxBackoff is the longest pause after a failure.
	MaxBackoff = time.Minute
	// MaxDebounce is the longest that a volume is left alone after news that changed nothing,
	// minDebounce the shortest.
	MaxDebounce = time.Second
	minDebounce = 10 * time.Millisecond
)

// idsOfFloor is how many ids may be fetched as often as Schedule.MinRefresh says; twice as many
// may be half as often.
const idsOfFloor = 100

// pause is how long after a delivery to fetch again, but for jitter.
func (s *Schedule) pause(v *volume) time.Duration {
	ids := max(v.IDs, v.entries)
	switch {
	case v.failures > 0: // of a few ids it is tried again soon
		return max(backoff(v.failures-1), s.floor(ids)-s.floor(0))
	case v.Refresh > 0:
		return max(v.Refresh, s.floor(ids))
	case s.watched[v.Source]:
		return max(SafetyPoll, s.floor(ids))
	default:
		slowed := min(max(s.PollEvery, maxNoopPoll), s.PollEvery<<min(v.noopRuns, 10))
		return max(slowed, s.floor(ids))
	}
}

// floor is the least refresh of so many ids: each may be a call of its own.
func (s *Schedule) floor(ids int) time.Duration {
	return s.MinRefresh * time.Duration(max(1, (ids+idsOfFloor-1)/idsOfFloor))
}

// StaleAfter is how old the last confirmation of a volume of so many ids may grow before its
// readers should doubt it.
func (s *Schedule) StaleAfter(refresh time.Duration, ids int) time.Duration {
	return max(MinStaleAfter, 2*refresh, 2*s.PollEvery, 2*s.floor(ids))
}

func backoff(failures int) time.Duration { return min(MaxBackoff, time.Second<<min(failures, 10)) }

// jitter is the duration, a tenth more or less, so that volumes do not march in step.
func (s *Schedule) jitter(base time.Duration) time.Duration {
	return shortest(base) + s.Random(base/5+1)
}

// shortest is the least that jitter returns.
func shortest(base time.Duration) time.Duration { return base - base/10 }

// halfJitter is between half of base and all of it: nodes that lost a source at the same
// instant drift apart.
func (s *Schedule) halfJitter(base time.Duration) time.Duration {
	return base/2 + s.Random(base/2+1)
}
