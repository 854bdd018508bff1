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

const (
	// reportAfter is how long a report waits for others to go with it.
	reportAfter = 100 * time.Millisecond
	// againAfter is how soon the driver calls a fetcher again that hangs up on what is to last.
	againAfter = 100 * time.Millisecond
)

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
			pause.Wait(ctx, againAfter)
			continue
		}
		d.Log.Error("reporting to the fetcher failed", logkey.Error, err)
		pause.Wait(ctx, time.Second)
	}
}

// reportOn reports on one connection for as long as it stands.
func reportOn(ctx context.Context, l *line, reports *Reports, state func() []byte) error {
	_ = l.conn.SetDeadline(time.Time{})
	ctx, cancel := context.WithCancel(ctx)
	// asks has room for the question that there is at a time: what was counted has to be read while this end
	// still sends, or with enough of it neither end would read.
	asks, ended := make(chan struct{}, 1), make(chan error, 1)
	again := append([][]byte{nil}, reports.uncounted()...)
	var reading sync.WaitGroup
	reading.Go(func() { ended <- readAsks(ctx, l, reports, asks) })
	defer reading.Wait()
	defer func() { _ = l.conn.Close() }()
	defer cancel()
	if err := l.sendReports(again); err != nil {
		return err
	}
	for {
		isAsked, err := awaitReason(reports, asks, ended)
		if err != nil {
			return err
		}
		if taken := reports.take(); len(taken) > 0 {
			if err := l.sendReports([][]byte{taken}); err != nil {
				return err
			}
		}
		if !isAsked {
			continue
		}
		began := time.Now()
		w := l.start(frameState)
		w.b = append(w.b, state()...)
		if err := l.send(); err != nil {
			return err
		}
		pause.After(ctx, began)
	}
}

// sendReports sends a frame for each.
func (l *line) sendReports(all [][]byte) error {
	for _, one := range all {
		w := l.start(frameReport)
		w.b = append(w.b, one...)
		if err := l.send(); err != nil {
			return err
		}
	}
	return nil
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

// readAsks waits for questions, of which there is one at a time, and takes in what was counted.
func readAsks(ctx context.Context, l *line, reports *Reports, asks chan<- struct{}) error {
	for {
		if err := l.readHeader(); err != nil {
			return err
		}
		switch {
		case l.size() != 0 || l.kind() != frameAsk && l.kind() != frameCounted:
			return fmt.Errorf("%w: a frame %q for a question", errLied, l.kind())
		case l.kind() == frameCounted:
			if err := reports.counted(); err != nil {
				return err
			}
			continue
		}
		select {
		case asks <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
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
			if err := from.counted(); err != nil {
				return err
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
	return r.say(frameAsk)
}

// counted says that a report was taken in.
func (r *reports) counted() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.say(frameCounted)
}

// say sends a frame that is but its kind.
func (r *reports) say(kind byte) error {
	r.line.start(kind)
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
