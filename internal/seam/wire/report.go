package wire

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/report"
)

// Sink takes at the fetcher's end what the driver did. Its methods return at once and are safe for
// concurrent use.
type Sink interface {
	Called(report.Call)
	Delivered(report.Delivery)
	Panicked()
	report.Recorder
}

// unread is the Sink of those who count nothing.
type unread struct{}

func (unread) Called(report.Call)                               {}
func (unread) Delivered(report.Delivery)                        {}
func (unread) Panicked()                                        {}
func (unread) Record(report.Volume, report.EventReason, string) {}

// Records of a report.
const (
	recordCall byte = 1 + iota
	recordDelivery
	recordPanic
	recordEvent
	recordLost // so many there was no room for
)

const (
	// mostUnreported bounds what the driver did and the fetcher has not been told, in bytes.
	mostUnreported = 1 << 20
	// reportAfter is how long a report waits for others to go with it.
	reportAfter = 100 * time.Millisecond
	// askAgain is how soon the driver says again how the node is.
	askAgain = 10 * time.Millisecond
)

// Reports is the driver's report.Observer and report.Recorder: it keeps what happens until the fetcher
// takes it, and of more than there is room for how much it was. It never waits. Its zero value keeps.
type Reports struct {
	mu     sync.Mutex
	unsent writer
	lost   uint64
	// more is closed with the next record; nil while nobody waits.
	more chan struct{}
}

func (r *Reports) add(write func(w *writer)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.unsent.b)
	write(&r.unsent)
	if len(r.unsent.b) > mostUnreported {
		r.unsent.b = r.unsent.b[:before]
		r.lost++
	}
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// Called tells of a call of kubelet's.
func (r *Reports) Called(one report.Call) {
	r.add(func(w *writer) {
		w.byte(recordCall)
		w.text(one.Method)
		w.text(one.Code)
		w.uint(uint64(one.Took))
	})
}

// Delivered implements report.Observer.
func (r *Reports) Delivered(whole report.Report) {
	one := whole.Delivery()
	r.add(func(w *writer) {
		w.byte(recordDelivery)
		w.text(one.Source)
		w.text(one.Cause)
		w.text(one.Outcome)
		w.flags(one.Rotated)
		w.uint(uint64(one.Took))
		w.uint(uint64(max(0, one.Lag)))
	})
}

// Panicked implements report.Observer.
func (r *Reports) Panicked() { r.add(func(w *writer) { w.byte(recordPanic) }) }

// Fetched implements report.Observer. The driver fetches nothing.
func (*Reports) Fetched(report.Fetch) {}

// Resolved implements report.Observer. The driver resolves nothing.
func (*Reports) Resolved(string, string, time.Duration) {}

// Record implements report.Recorder.
func (r *Reports) Record(volume report.Volume, reason report.EventReason, message string) {
	r.add(func(w *writer) {
		w.byte(recordEvent)
		for _, text := range []string{volume.ID, volume.Source, volume.Namespace, volume.Pod, volume.PodUID, volume.ServiceAccount, string(reason), message} {
			w.text(text)
		}
	})
}

// look returns what is closed once anything is kept.
func (r *Reports) look() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.more == nil {
		r.more = make(chan struct{})
	}
	more := r.more
	if len(r.unsent.b) > 0 || r.lost > 0 {
		close(r.more)
		r.more = nil
	}
	return more
}

// take takes all that is kept, and reports whether that is anything.
func (r *Reports) take(into *writer) (has bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.unsent.b) == 0 && r.lost == 0 {
		return false
	}
	into.b = append(into.b, r.unsent.b...)
	if r.lost > 0 {
		into.byte(recordLost)
		into.uint(r.lost)
	}
	r.unsent.b, r.lost = r.unsent.b[:0], 0
	if cap(r.unsent.b) > mostKept {
		r.unsent.b = nil
	}
	return true
}

// Report has the fetcher told what reports keeps, and how the node is whenever it asks, until ctx
// ends.
func (d *Driver) Report(ctx context.Context, reports *Reports, state func() []byte) {
	for ctx.Err() == nil {
		l, err := d.take(ctx, time.Now().Add(forever))
		if err != nil {
			return
		}
		stop := l.endWith(ctx)
		err = d.guard.Run(report.Volume{}, func() error { return reportOn(ctx, l, reports, state) })
		stop()
		d.drop(l)
		if ctx.Err() != nil {
			return
		}
		if isHangUp(err) {
			d.Log.Warn("the fetcher has gone", logkey.Error, err)
			d.hangUp(l.instance)
			continue
		}
		d.Log.Error("reporting to the fetcher failed", logkey.Error, err)
		pause.Wait(ctx, time.Second)
	}
}

// reportOn reports on one connection for as long as it stands.
func reportOn(ctx context.Context, l *line, reports *Reports, state func() []byte) error {
	_ = l.conn.SetDeadline(time.Time{})
	l.start(frameReport)
	if err := l.send(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	asks, ended := make(chan struct{}), make(chan error, 1)
	var reading sync.WaitGroup
	reading.Go(func() { ended <- readAsks(ctx, l, asks) })
	defer reading.Wait()
	defer func() { _ = l.conn.Close() }()
	defer cancel()
	for {
		isAsked, err := awaitReason(reports, asks, ended)
		if err != nil {
			return err
		}
		if w := l.start(frameReport); reports.take(w) {
			if err := l.send(); err != nil {
				return err
			}
		}
		if !isAsked {
			continue
		}
		w := l.start(frameState)
		w.b = append(w.b, state()...)
		if err := l.send(); err != nil {
			return err
		}
	}
}

// awaitReason waits until there is something to send: a question, or records that have waited for
// others.
func awaitReason(reports *Reports, asks <-chan struct{}, ended <-chan error) (isAsked bool, err error) {
	later := make(<-chan time.Time)
	more := reports.look()
	for {
		select {
		case <-more:
			timer := time.NewTimer(reportAfter)
			defer timer.Stop()
			more, later = nil, timer.C
		case <-later:
			return false, nil
		case <-asks:
			return true, nil
		case err := <-ended:
			return false, err
		}
	}
}

// readAsks waits for questions, of which there is one at a time.
func readAsks(ctx context.Context, l *line, asks chan<- struct{}) error {
	for {
		if err := l.readHeader(); err != nil {
			return err
		}
		if l.kind() != frameAsk || l.size() != 0 {
			return fmt.Errorf("%w: a frame %q for a question", errLied, l.kind())
		}
		select {
		case asks <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		pause.Wait(ctx, askAgain)
	}
}

// reports is the connection that the driver reports on, at the fetcher's end.
type reports struct {
	line *line
	// waiting are those who asked how the node is.
	mu      sync.Mutex
	waiting []chan<- []byte
	isGone  bool
}

// takeReports takes what the driver reports for as long as the connection stands.
func (s *Server) takeReports(ctx context.Context, l *line) error {
	if l.size() != 0 {
		return errLied
	}
	from := &reports{line: l}
	s.mu.Lock()
	s.reports = from
	s.mu.Unlock()
	defer from.end()
	for ctx.Err() == nil {
		if err := l.readHeader(); err != nil {
			return err
		}
		kind := l.kind()
		text, err := l.readShort(2 * mostUnreported)
		if err != nil {
			return err
		}
		switch kind {
		case frameState:
			from.answer([]byte(text))
		case frameReport:
			r := &reader{rest: text}
			for !r.end() {
				if s.record(r); r.isBad {
					return fmt.Errorf("%w: a report that cannot be read", errLied)
				}
			}
		default:
			return fmt.Errorf("%w: a frame %q for a report", errLied, kind)
		}
	}
	return ctx.Err()
}

// record takes one record in.
func (s *Server) record(r *reader) {
	switch r.byte() {
	case recordCall:
		one := report.Call{Method: r.text(), Code: r.text(), Took: time.Duration(r.uint())}
		if !r.isBad {
			s.Sink.Called(one)
		}
	case recordDelivery:
		one := report.Delivery{Source: r.text(), Cause: r.text(), Outcome: r.text()}
		r.flags(&one.Rotated)
		one.Took, one.Lag = time.Duration(r.uint()), time.Duration(r.uint())
		if !r.isBad {
			s.Sink.Delivered(one)
		}
	case recordPanic:
		s.Sink.Panicked()
	case recordEvent:
		volume := report.Volume{ID: r.text(), Source: r.text(), Namespace: r.text(), Pod: r.text(), PodUID: r.text(), ServiceAccount: r.text()}
		reason, message := report.EventReason(r.text()), r.text()
		if !r.isBad {
			s.Sink.Record(volume, reason, message)
		}
	case recordLost:
		s.Log.Warn("the driver did more than there was room to report; what is counted is too little", logkey.Untold, r.uint())
	default:
		r.fail()
	}
}

// errNoDriver is why it is not known how the node is.
var errNoDriver = errors.New("the driver is not there: it has not called, or its container is not running")

// State asks the driver how the node is.
func (s *Server) State(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	from := s.reports
	s.mu.Unlock()
	if from == nil {
		return nil, errNoDriver
	}
	answer := make(chan []byte, 1)
	if err := from.ask(answer); err != nil {
		return nil, err
	}
	select {
	case state, told := <-answer:
		if !told {
			return nil, errNoDriver
		}
		return state, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("the driver does not say how it is: %w", ctx.Err())
	}
}

// ask sends the question, unless it is under way.
func (r *reports) ask(answer chan<- []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isGone {
		return errNoDriver
	}
	if r.waiting = append(r.waiting, answer); len(r.waiting) > 1 {
		return nil
	}
	r.line.start(frameAsk)
	_ = r.line.conn.SetWriteDeadline(time.Now().Add(silence))
	return r.line.send()
}

func (r *reports) answer(state []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.waiting {
		one <- state
	}
	r.waiting = nil
}

func (r *reports) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isGone = true
	for _, one := range r.waiting {
		close(one)
	}
	r.waiting = nil
}

var (
	_ report.Observer = (*Reports)(nil)
	_ report.Recorder = (*Reports)(nil)
)
