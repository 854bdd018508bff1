package report

import (
	"log/slog"
	"time"
)

// Readers read the reports of a node. Each is optional but the log.
type Readers struct {
	Log *slog.Logger
	// Observer counts.
	Observer Observer
	// Recorder tells pods what goes wrong.
	Recorder Recorder
}

// Complete has nobody read what nobody is there to read.
func Complete(to Readers) Readers {
	if to.Observer == nil {
		to.Observer = uncounted{}
	}
	if to.Recorder == nil {
		to.Recorder = unrecorded{}
	}
	return to
}

// Send hands the report to its readers. events are what the volume's pod was told before, and
// said are the notices that were passed on.
func (r Report) Send(to Readers, events *Events, said *Said) {
	to.Observer.Delivered(r)
	news := false
	if !r.Superseded {
		news = events.record(r, to.Recorder)
	}
	if r.Failure == nil {
		r.recordWithdrawn(to.Recorder)
		r.recordSubPaths(to.Log, to.Recorder)
		r.notices(to.Log, to.Recorder, said)
	}
	r.log(to.Log, news)
}

type uncounted struct{}

func (uncounted) Fetched(Fetch)                          {}
func (uncounted) Resolved(string, string, time.Duration) {}
func (uncounted) Delivered(Report)                       {}
func (uncounted) Panicked()                              {}

type unrecorded struct{}

func (unrecorded) Record(Volume, EventReason, string) {}
