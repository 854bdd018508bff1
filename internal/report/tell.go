package report

import "time"

// Delivery is what is counted of a report.
type Delivery struct {
	Source, Cause, Outcome string
	// Rotated is set where the files of a live volume were replaced.
	Rotated   bool
	Took, Lag time.Duration
}

// Delivery is what is counted of it.
func (r Report) Delivery() Delivery {
	return Delivery{
		Source: r.Volume.Source, Cause: r.Cause, Outcome: r.Outcome(), Rotated: r.Rotated(), Took: r.Took, Lag: r.Lag,
	}
}

// Call is how a call of kubelet's ended. It names no pod and no volume.
type Call struct {
	// Method is CSI's name of it, and Code gRPC's of the outcome; "kept" where a live volume was kept
	// as it is and kubelet not told.
	Method, Code string
	Took         time.Duration
}
