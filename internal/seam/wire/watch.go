package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

// mostChange bounds a message of what changed.
const mostChange = 4 << 20

// forever is later than any process ends.
const forever = 100 * 365 * 24 * time.Hour

// Watch implements seam.Fetcher. It outlives a fetcher: of what changed while there was none, the next
// is taken to tell by the change of everything.
func (d *Driver) Watch(ctx context.Context, source string, notify func(seam.Change)) error {
	for first := true; ; first = false {
		l, err := d.take(ctx, time.Now().Add(forever))
		if err != nil {
			return fmt.Errorf("%w: %w", call.ErrUnavailable, err)
		}
		stop := l.endWith(ctx)
		err = d.watchOn(ctx, l, source, first, notify)
		stop()
		switch {
		case ctx.Err() != nil:
			d.drop(l)
			return fmt.Errorf("%w: %w", call.ErrUnavailable, ctx.Err())
		case isHangUp(err):
			d.drop(l)
			d.hangUp(l.instance)
			pause.Wait(ctx, againAfter)
			continue
		case errors.Is(err, errLied):
			d.drop(l)
		default:
			d.release(l)
		}
		return saying(err)
	}
}

func (*Driver) watchOn(ctx context.Context, l *line, source string, isFirst bool, notify func(seam.Change)) error {
	_ = l.conn.SetDeadline(time.Time{})
	l.start(frameWatch).text(source)
	if err := l.send(); err != nil {
		return err
	}
	if !isFirst {
		notify(seam.Change{All: true})
	}
	for {
		if err := l.readHeader(); err != nil {
			return err
		}
		kind, began := l.kind(), time.Now()
		text, err := l.readShort(mostChange)
		if err != nil {
			return err
		}
		r := reader{rest: text}
		switch kind {
		case frameChanged:
			change := r.change()
			if !r.end() {
				return fmt.Errorf("%w: a change that cannot be read", errLied)
			}
			notify(change)
			pause.After(ctx, began)
		case frameEnded:
			err := r.fault()
			if err == nil || !r.end() {
				return fmt.Errorf("%w: an end that cannot be read", errLied)
			}
			return err
		default:
			return fmt.Errorf("%w: a frame %q for a change", errLied, kind)
		}
	}
}

func (w *writer) change(change seam.Change) {
	w.flags(change.All)
	w.text(change.Namespace)
	w.uint(uint64(len(change.Entries)))
	for _, name := range change.Entries {
		w.flags(name.Kind == layout.Variable)
		w.text(name.ID)
	}
}

func (r *reader) change() (change seam.Change) {
	r.flags(&change.All)
	change.Namespace = r.text()
	count := r.count()
	if count > mostUnsent { // of more it is all that changed
		r.fail()
		return change
	}
	if count > 0 {
		change.Entries = make([]layout.Name, count)
	}
	for i := range change.Entries {
		isVariable := false
		r.flags(&isVariable)
		change.Entries[i] = layout.Name{Kind: layout.Connection, ID: r.text()}
		if isVariable {
			change.Entries[i].Kind = layout.Variable
		}
	}
	return change
}
