package report

import "time"

// Node is how a node is, for whoever counts it. It names no pod, no volume and no path.
type Node struct {
	// NotReady says why pods cannot be served; empty if they can.
	NotReady string
	Sources  []SourceState
	// Unclaimed counts the volumes that wait for kubelet since the driver's restart; -1 if that is not
	// known.
	Unclaimed int
	// VolumeBytes is the memory that the live volumes take. The others are what the driver's memory
	// is reckoned with: its limit, the part of volumes and that of deliveries, what is taken of each,
	// and what the volumes of the namespace that has most take.
	VolumeBytes                                                int64
	Limit, ForVolumes, ForWork, HeldVolumes, HeldWork, Largest int64
}

// SourceState is what a node has of one source.
type SourceState struct {
	Name string
	// IsAway is set while the source cannot be asked.
	IsAway bool
	// Count is of the live volumes, the others are of those among them.
	Count, Stale, Offline, Held uint64
	// Oldest is the age of the volume that waits longest, and Ages is the sum of all, in seconds.
	Oldest, Ages float64
	// Buckets counts the ages up to each of AgeBounds.
	Buckets []uint64
}

// AgeBounds are of the ages of volumes, in seconds. They have 900 among them, the least age at which a
// volume is stale.
func AgeBounds() []float64 { return []float64{30, 60, 300, 600, 900, 1800, 3600, 21600, 86400} }

// StateOf is what the states of live volumes say of one source.
func StateOf(name string, states []State, now time.Time) SourceState {
	made := SourceState{Name: name, Buckets: make([]uint64, len(AgeBounds()))}
	for _, state := range states {
		if state.Source == name {
			made.add(state, max(0, now.Sub(state.Confirmed)).Seconds()) // a clock may be stepped
		}
	}
	return made
}

func (s *SourceState) add(state State, age float64) {
	s.Count++
	s.Ages += age
	s.Oldest = max(s.Oldest, age)
	if state.Stale {
		s.Stale++
	}
	if state.Offline {
		s.Offline++
	}
	if state.Held {
		s.Held++
	}
	for i, bound := range AgeBounds() {
		if age <= bound {
			s.Buckets[i]++
		}
	}
}
