package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"
)

const (
	// atOnce is how many bytes of one call's records are written at a time, so that a call
	// costs as much memory however many records it has.
	atOnce = 64 << 10
	// patience is how long a call waits for a log that does not take what others write.
	patience = 5 * time.Second
)

var errSlow = errors.New("it takes too long to write")

// Log writes records as JSON lines. It is safe for concurrent use.
type Log struct {
	out io.Writer
	// turn is held by the one who writes. It is a channel, since a sink may block for good,
	// and nobody else should wait for it as long.
	turn chan struct{}

	// What follows belongs to the holder of turn.
	lines    []byte
	torn     bool // the last line was not written to its end
	refusals refusals
}

// NewLog writes to out, which Log alone writes to.
func NewLog(out io.Writer) *Log {
	l := &Log{out: out, turn: make(chan struct{}, 1)}
	l.refusals = newRefusals(roomOf(out))
	return l
}

// Write puts down the records of one call, which stand together in the log. Those of what
// was given are all written. Of refusals the first few are; the rest are counted, and the
// counts follow within an interval. The caller must not hand out what it could not write
// down.
func (l *Log) Write(ctx context.Context, records iter.Seq[Record]) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSlow)
	defer cancel()
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return fmt.Errorf("writing audit log: %w", context.Cause(ctx))
	}
	l.lines = l.lines[:0]
	for record := range records {
		if record.isRefusal() && !l.refusals.admit(&record, l.summarize) {
			continue
		}
		l.lines = appendLine(l.lines, &record)
		if len(l.lines) >= atOnce {
			if err := l.flush(); err != nil {
				return err
			}
		}
	}
	return l.flush()
}

// WriteOne is Write for a single record.
func (l *Log) WriteOne(ctx context.Context, record Record) error {
	return l.Write(ctx, slices.Values([]Record{record}))
}

// flush writes the lines. Where the line before them is torn, as on a disk that was full,
// they begin on a new one.
func (l *Log) flush() error {
	if len(l.lines) == 0 {
		return nil
	}
	if l.torn {
		l.lines = slices.Insert(l.lines, 0, '\n')
	}
	n, err := l.out.Write(l.lines)
	if n > 0 {
		l.torn = l.lines[n-1] != '\n'
	}
	l.lines = l.lines[:0]
	if err != nil {
		return fmt.Errorf("writing audit log: %w", err)
	}
	return nil
}

// summarize writes what was counted since the last time. What cannot be written stays
// counted.
func (l *Log) summarize() {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.lines = l.lines[:0]
	for _, record := range l.refusals.sums() {
		l.lines = appendLine(l.lines, &record)
	}
	if l.flush() == nil {
		l.refusals.forget()
		return
	}
	l.refusals.later(l.summarize)
}

// Close writes what was counted, and counts no more. It waits until ctx ends for a sink that takes
// nothing. The sink stays open.
func (l *Log) Close(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.close()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("closing audit log: %w", errSlow)
	}
}

func (l *Log) close() {
	l.turn <- struct{}{}
	stopped := l.refusals.stop()
	<-l.turn
	if stopped {
		l.summarize()
	}
}
