package report

import "time"

// Health is how a volume is.
type Health struct {
	// Generation is that of the files now in the volume; zero before the first.
	Generation uint64
	// Confirmed is when the source last said that the files are what they should be.
	Confirmed time.Time
	// Offline is set while the files are what the node remembered.
	Offline bool
	// Held is how many entries cannot be had now, and stand as they were delivered before.
	Held int
	// Problem says what is wrong with the volume, without values; empty if nothing is.
	Problem string
}

// After is the health after a delivery. Where there is no new generation the files are as
// they were.
func (h Health) After(r Report) Health {
	switch {
	case r.Superseded:
		return h
	case r.MountGone: // it waits for its publish again, as one that is new
		h.Generation = 0
	case r.Generation > 0:
		h.Generation, h.Confirmed, h.Offline, h.Held = r.Generation, r.Confirmed, r.Offline, r.held()
	}
	h.Problem = r.Problem()
	return h
}

// And is the health of a volume of two parts: as bad as the worse one.
func (h Health) And(other Health) Health {
	h.Generation = max(h.Generation, other.Generation)
	if other.Confirmed.Before(h.Confirmed) {
		h.Confirmed = other.Confirmed
	}
	h.Offline = h.Offline || other.Offline
	h.Held += other.Held
	if h.Problem != "" && other.Problem != "" {
		h.Problem += "; "
	}
	h.Problem += other.Problem
	return h
}

// Age is how long ago the files were confirmed, as a person reads it. A clock that was
// stepped back has it in the future.
func (h Health) Age() string {
	return max(0, time.Since(h.Confirmed)).Round(time.Second).String()
}

// State is how one live volume is, for whoever counts them. One of several sources has a
// State for each.
type State struct {
	Source     string
	TargetPath string
	// Confirmed is when the source last said that the files are right.
	Confirmed time.Time
	Stale     bool
	Offline   bool
	// Held is set if the volume holds an entry that cannot be had now.
	Held bool
}
