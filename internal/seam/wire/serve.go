package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

const (
	// toldFor is how long the end of a call waits for the answer of a volume, to go with it.
	toldFor = 2 * time.Millisecond
	// alikeAtOnce are the volumes alike that are sent at once.
	alikeAtOnce = 8
	// slowAfter is after how long it is looked after whether anybody still waits.
	slowAfter = 10 * time.Millisecond
)

// serving is the seam.Taker of a call of the driver's: it has what is taken sent, the end of the call
// and the answer of the first volume as one frame.
type serving struct {
	line *line
	work seam.Work
	// end ends the call, where nobody can be told of it any more.
	end context.CancelFunc

	mu sync.Mutex
	// isBegun is set while there is a frame to be sent, isOver once the last one was.
	isBegun, isOver bool
	// left are the volumes without an answer, alike those that are to be sent and show what the one
	// before does.
	left, alike int
	// lastLines and last are the answer that was sent before, of a call for several volumes.
	lastLines  []byte
	last       []seam.Entry
	lastAnswer seam.Answer
	// late sends what was told without an answer, alive says that the call is under way.
	late, alive *time.Timer
	err         error
}

// fetch answers one call.
func (s *Server) fetch(ctx context.Context, l *line, r *reader) error {
	l.serial = r.uint()
	work, left := r.work()
	if !r.end() {
		return errLied
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if left > 0 {
		ctx, cancel = context.WithTimeout(ctx, left)
		defer cancel()
	}
	to := &serving{line: l, work: work, end: cancel, left: len(work.Volumes)}
	to.mu.Lock()
	to.alive = time.AfterFunc(aliveEvery, to.sayAlive)
	to.mu.Unlock()
	defer to.alive.Stop()
	defer lookLater(l, cancel)()
	err := s.guard.Run(report.Volume{Source: work.Source}, func() error { return s.Fetcher.Fetch(ctx, work, to) })
	return to.close(err)
}

// lookLater has a call looked after that is not answered at once. It returns what ends that.
func lookLater(l *line, hungUp func()) (end func()) {
	var mu sync.Mutex
	isOver, wait := false, func() {}
	later := time.AfterFunc(slowAfter, func() {
		mu.Lock()
		defer mu.Unlock()
		if !isOver {
			wait = l.look(hungUp)
		}
	})
	return func() {
		later.Stop()
		mu.Lock()
		defer mu.Unlock()
		isOver = true
		wait()
	}
}

// begin begins a frame, unless one is.
func (s *serving) begin() *writer {
	if !s.isBegun {
		s.isBegun = true
		w := s.line.start(frameTold)
		w.b = append(w.b, 0, 0, 0, 0) // the length of the lines
		w.uint(s.line.serial)
	}
	return s.line.out
}

// send sends the frame, with the values of its answer. isLast says that no other comes.
func (s *serving) send(kind byte, values []seam.Entry, isLast bool) {
	if s.late != nil {
		s.late.Stop()
	}
	s.isBegun, s.alike, s.isOver = false, 0, s.isOver || isLast
	out := s.line.out
	out.b[headerSize-1] = kind
	binary.BigEndian.PutUint32(out.b[headerSize:], uint32(len(out.b)-headerSize-4))
	size := 0
	for i := range values {
		size += len(values[i].Value) + len(values[i].JSON)
	}
	out.b = slices.Grow(out.b, size)
	for i := range values {
		out.b = append(out.b, values[i].Value...)
		out.b = append(out.b, values[i].JSON...)
	}
	if err := s.line.send(); err != nil && s.err == nil {
		s.err = err
		s.end()
	}
}

// Told implements seam.Taker.
func (s *serving) Told(how seam.Told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin().told(how)
	if how.Outgrown {
		s.send(frameTold, nil, true)
		return
	}
	s.late = time.AfterFunc(toldFor, s.sendLate)
}

// sendLate sends what was told, where no answer came that it could go with.
func (s *serving) sendLate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isBegun && !s.isOver {
		s.send(frameTold, nil, false)
	}
}

func (s *serving) sayAlive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isOver {
		return
	}
	s.begin().byte(partAlive)
	s.send(frameTold, nil, false)
	s.alive.Reset(aliveEvery)
}

// Place implements seam.Taker. Who does not read what is sent has the next wait.
func (*serving) Place() {}

// Take implements seam.Taker.
func (s *serving) Take(i int, answer seam.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isOver {
		return
	}
	w := s.begin()
	if s.isVeryLast(&answer) {
		s.left--
		w.byte(partSame)
		w.uint(uint64(i))
		s.sendAlike()
		return
	}
	before := len(w.b)
	w.byte(partOne)
	w.uint(uint64(i))
	lines := len(w.b)
	w.answer(&answer)
	s.left--
	if len(s.work.Volumes) > 1 && s.isLikeLast(w.b[lines:], answer.Entries) {
		clear(w.b[before:])
		w.b = w.b[:before]
		w.byte(partSame)
		w.uint(uint64(i))
		s.sendAlike()
		return
	}
	if len(s.work.Volumes) > 1 {
		s.lastLines, s.last, s.lastAnswer = append(s.lastLines[:0], w.b[lines:]...), answer.Entries, answer
	}
	s.send(frameAnswer, answer.Entries, s.left == 0)
}

// sendAlike sends volumes that show what the one before does, several at once.
func (s *serving) sendAlike() {
	if s.alike++; s.alike < alikeAtOnce && s.left > 0 {
		if s.alike == 1 {
			s.late = time.AfterFunc(toldFor, s.sendLate)
		}
		return
	}
	s.send(frameTold, nil, s.left == 0)
}

// isVeryLast tells the answer that was sent last by where its entries are in memory.
func (s *serving) isVeryLast(answer *seam.Answer) bool {
	last := &s.lastAnswer
	return len(answer.Entries) > 0 && len(answer.Entries) == len(last.Entries) && &answer.Entries[0] == &last.Entries[0] &&
		answer.Err == nil && last.Err == nil && answer.Offline == nil && last.Offline == nil &&
		answer.Refers == last.Refers && answer.Fetched.Equal(last.Fetched) &&
		slices.EqualFunc(answer.Identities, last.Identities, func(a, b seam.Identity) bool { return a.Cloud == b.Cloud && a.Text == b.Text })
}

func (s *serving) isLikeLast(lines []byte, entries []seam.Entry) bool {
	return s.lastLines != nil && bytes.Equal(lines, s.lastLines) &&
		slices.EqualFunc(entries, s.last, func(a, b seam.Entry) bool {
			return bytes.Equal(a.Value, b.Value) && bytes.Equal(a.JSON, b.JSON)
		})
}

// close ends a call that Fetch has returned from, by its error where volumes have no answer.
func (s *serving) close(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.late != nil {
		s.late.Stop()
	}
	if !s.isOver {
		if err == nil {
			err = errUnanswered
		}
		w := s.begin()
		w.byte(partEnded)
		w.fault(err)
		s.send(frameTold, nil, true)
	}
	return s.err
}

// errUnanswered is told of volumes that Fetch left out.
var errUnanswered = errors.New("there is no answer")

// watch tells of changes in a source until the driver hangs up or there is nothing to watch.
func (s *Server) watch(ctx context.Context, l *line, source string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer l.look(cancel)()
	news := changes{more: make(chan struct{}, 1)}
	ended, why := make(chan struct{}), error(nil)
	go func() {
		defer close(ended)
		why = s.guard.Run(report.Volume{Source: source}, func() error { return s.Fetcher.Watch(ctx, source, news.add) })
	}()
	for {
		select {
		case <-news.more:
		case <-ended:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if why == nil {
				why = call.ErrUnavailable
			}
			l.start(frameEnded).fault(why)
			return l.send()
		}
		for _, change := range news.take() {
			if err := l.sendChange(change); err != nil {
				cancel()
				<-ended
				return err
			}
		}
	}
}

// mostUnsent bounds the names of what changed that the driver was not told yet.
const mostUnsent = 50_000

// changes are what is to be sent: who tells of one must not wait for the driver.
type changes struct {
	mu     sync.Mutex
	unsent []seam.Change
	names  int
	more   chan struct{}
}

func (c *changes) add(change seam.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names += 1 + len(change.Entries)
	if c.join(change); c.names > mostUnsent {
		c.unsent, c.names = []seam.Change{{All: true}}, 1
	}
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// join puts a change beside the last one, if both can be told as one: a source may tell of thousands, one by one,
// and the driver takes its time between two.
func (c *changes) join(change seam.Change) {
	if last := len(c.unsent) - 1; last >= 0 && !change.All && !c.unsent[last].All && change.Namespace == c.unsent[last].Namespace {
		c.unsent[last].Entries = append(c.unsent[last].Entries, change.Entries...)
		return
	}
	change.Entries = slices.Clip(change.Entries) // which are the source's
	c.unsent = append(c.unsent, change)
}

func (c *changes) take() (unsent []seam.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	unsent, c.unsent, c.names = c.unsent, nil, 0
	return unsent
}

func (l *line) sendChange(change seam.Change) error {
	w := l.start(frameChanged)
	if w.change(change); len(w.b) > mostChange {
		w = l.start(frameChanged)
		w.change(seam.Change{All: true})
	}
	return l.send()
}
