package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

const (
	// awaitFor is how long a call waits for a fetcher that is not there, for a pod that starts and for one
	// that runs: kubelet starts a program that has ended within seconds, if that is not often. Who has
	// longer waits without a call, which takes memory.
	awaitFor, awaitLive = 3 * time.Second, time.Second
	// silence is how long a fetcher that is at work says nothing: it shows every second that it is.
	silence, aliveEvery = 10 * time.Second, time.Second
	// longest is how long a call takes in all besides what a fetch of its source does.
	longest = 2 * time.Minute
	// mostTries bounds the connections that a call is begun on: those of a fetcher that has ended
	// are found out one by one.
	mostTries = 64
	// takesAtOnce bounds the volumes of a call that are filled at once.
	takesAtOnce = 4
)

// Fetch implements seam.Fetcher. Where the fetcher ends before it has said anything, it is asked again
// once it is back.
func (d *Driver) Fetch(ctx context.Context, work seam.Work, taker seam.Taker) error {
	wait := awaitFor
	if work.Volumes[0].IsLive {
		wait = awaitLive
	}
	until := time.Now().Add(wait)
	for range mostTries {
		l, err := d.take(ctx, until)
		if err != nil {
			return unlessEnded(ctx, err)
		}
		one := &fetching{driver: d, line: l, work: work, taker: taker, left: len(work.Volumes), told: work.IsAway, most: mostOf(work)}
		err = one.run(ctx)
		switch {
		case err == nil && ctx.Err() == nil:
			d.release(l)
			return nil
		case err == nil: // what ends the wait may still be at work on the line
			d.drop(l)
			return nil
		}
		d.drop(l)
		if ctx.Err() != nil || one.heard || !isHangUp(err) {
			return unlessEnded(ctx, saying(err))
		}
	}
	return seam.ErrGone
}

// unlessEnded is err, or that nobody waits for the call any more.
func unlessEnded(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%w: %w", call.ErrUnavailable, ended)
	}
	return err
}

// saying is whose fault it is that a call has no answer.
func saying(err error) error {
	switch {
	case errors.Is(err, errLied):
		return fmt.Errorf("%w: the node's fetcher answered %w", call.ErrProtocol, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: the node's fetcher does not answer", seam.ErrAway)
	case isHangUp(err):
		return fmt.Errorf("%w: the node's fetcher ended while it was asked", seam.ErrAway)
	}
	return err
}

// fetching is one Fetch on one connection.
type fetching struct {
	driver *Driver
	line   *line
	work   seam.Work
	asked  *asked
	taker  seam.Taker
	// left are the volumes that have no answer, taken says which have one.
	left  int
	taken []bool
	// heard is set once anything came, told once the call's end was.
	heard, told bool
	// most bounds a frame.
	most int64
	// isPlaced is set where the place of the next answer was waited for.
	isPlaced bool
	// ends is when the fetcher has to be done.
	ends time.Time
	// last is the answer that the next may be equal to.
	last *seam.Answer
	// taking are the volumes that are being filled, slots bounds them; nil for a single one.
	taking sync.WaitGroup
	slots  chan struct{}
}

// run returns nil once all is taken, or the source's answer needs more memory.
func (f *fetching) run(ctx context.Context) error {
	f.line.serial++
	w := f.line.start(frameFetch)
	w.uint(f.line.serial)
	w.work(ctx, f.work)
	_ = f.line.conn.SetWriteDeadline(time.Now().Add(silence))
	if err := f.line.send(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.line.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	defer f.taking.Wait()
	source, _ := f.driver.Source(f.work.Source)
	f.ends = time.Now().Add(source.FetchFor + longest)
	for f.left > 0 {
		if err := f.await(ctx); err != nil {
			return err
		}
		began, left, told := time.Now(), f.left, f.told
		isOver, err := f.take(ctx)
		if err != nil || isOver {
			return err
		}
		if f.left == left && f.told == told { // it is at work, which it may say without end
			pause.After(ctx, began)
		}
	}
	return nil
}

// listen gives the fetcher from now on as long as it may say nothing.
func (f *fetching) listen(ctx context.Context) error {
	until := time.Now().Add(silence)
	if until.After(f.ends) {
		until = f.ends
	}
	_ = f.line.conn.SetReadDeadline(until)
	return ctx.Err() // which may have ended before the deadline was set, and that undid what ended the wait
}

// await waits for the next frame.
func (f *fetching) await(ctx context.Context) error {
	if err := f.listen(ctx); err != nil {
		return err
	}
	err := f.line.readHeader()
	f.heard = f.heard || err == nil
	return err
}

// place waits for the place of the answer that comes, which the fetcher is not to blame for.
func (f *fetching) place(ctx context.Context) error {
	f.taker.Place()
	f.isPlaced = true
	return f.listen(ctx)
}

// take takes in the frame of the header.
func (f *fetching) take(ctx context.Context) (isOver bool, err error) {
	has := f.line.kind() == frameAnswer
	if !has && f.line.kind() != frameTold {
		return false, fmt.Errorf("%w: a frame %q for an answer", errLied, f.line.kind())
	}
	if has && f.told {
		if err := f.place(ctx); err != nil {
			return false, err
		}
	}
	body, err := f.line.read(f.most)
	if err != nil {
		return false, err
	}
	if len(body) < 4 || int64(binary.BigEndian.Uint32(body)) > int64(len(body)-4) {
		return false, fmt.Errorf("%w: an answer that is cut short", errLied)
	}
	lines, values := body[4:4+binary.BigEndian.Uint32(body)], body[4+binary.BigEndian.Uint32(body):]
	r := &reader{rest: string(lines)}
	if r.uint() != f.line.serial {
		return false, fmt.Errorf("%w: the answer to another call", errLied)
	}
	for !r.end() {
		if r.isBad {
			return false, fmt.Errorf("%w: an answer that cannot be read", errLied)
		}
		over, err := f.part(r, has, values)
		isOver = isOver || over
		if err != nil {
			return false, err
		}
	}
	if f.isPlaced && !isOver { // or the place would be nobody's, and soon there were none
		return false, fmt.Errorf("%w: an answer without any", errLied)
	}
	return isOver, nil
}

// part takes in one part of a frame.
func (f *fetching) part(r *reader, has bool, values []byte) (isOver bool, err error) {
	switch kind := r.byte(); kind {
	case partAlive:
		return false, nil
	case partTold:
		return f.partTold(r)
	case partEnded:
		err := r.fault()
		if err == nil {
			err = fmt.Errorf("%w: there is no answer", errLied)
		}
		if lie := f.checkSize(err); lie != nil {
			return false, lie
		}
		return true, err
	case partOne, partSame:
		if kind == partOne && !has || !f.told {
			return false, fmt.Errorf("%w: an answer out of its turn", errLied)
		}
		return false, f.partAnswer(r, kind == partSame, values)
	}
	return false, fmt.Errorf("%w: an answer that cannot be read", errLied)
}

func (f *fetching) partTold(r *reader) (isOver bool, err error) {
	how := r.told(len(f.work.Volumes))
	switch {
	case r.isBad || f.told:
		return false, fmt.Errorf("%w: what it says of the call cannot be", errLied)
	case how.Each < 0, how.Outgrown && f.work.Partial:
		return false, fmt.Errorf("%w: a size that cannot be", errLied)
	}
	if err := f.checkSize(how.Errs...); err != nil {
		return false, err
	}
	f.told, f.most = true, mostOfEach(f.work, how.Each)
	f.taker.Told(how)
	if how.Outgrown {
		return true, nil
	}
	return false, f.line.fits(f.most) // for an answer in the same frame, too
}

func (f *fetching) partAnswer(r *reader, isSame bool, values []byte) error {
	number := r.uint()
	if r.isBad || number >= uint64(len(f.work.Volumes)) || f.taken != nil && f.taken[number] {
		return fmt.Errorf("%w: an answer for no volume that waits for one", errLied)
	}
	if isSame && f.last == nil {
		return fmt.Errorf("%w: an answer like none", errLied)
	}
	if !isSame {
		answer := r.answer(f.work.Source, mostEntriesOf(f.work), values)
		if r.isBad {
			return fmt.Errorf("%w: an answer that cannot be read", errLied)
		}
		if err := f.check(&answer); err != nil {
			return err
		}
		f.last = &answer
	}
	if f.taken == nil {
		f.taken = make([]bool, len(f.work.Volumes))
	}
	f.taken[number] = true
	f.left--
	if !f.isPlaced {
		f.taker.Place()
	}
	f.isPlaced = false
	f.hand(int(number), *f.last)
	return nil
}

// checkSize has no call made again, and again, with more memory than there is.
func (f *fetching) checkSize(errs ...error) error {
	for _, err := range errs {
		if f.work.Partial && errors.Is(err, seam.ErrOutgrown) {
			return fmt.Errorf("%w: more is needed than all that there is, of which a part would do", errLied)
		}
	}
	return nil
}

func (f *fetching) check(answer *seam.Answer) error {
	if err := f.checkSize(answer.Err, answer.Offline); err != nil {
		return err
	}
	if now := time.Now(); answer.Fetched.After(now) { // which would never be old
		answer.Fetched = now
	}
	if f.asked == nil {
		made := askedBy(f.work)
		f.asked = &made
	}
	size := int64(0)
	for i := range answer.Entries {
		size += int64(len(answer.Entries[i].Value))
	}
	if f.work.Room > 0 && size > writtenLonger*f.work.Room {
		return fmt.Errorf("%w: %d bytes of values, where there is room for %d", errLied, size, f.work.Room)
	}
	return f.asked.checkAnswer(answer)
}

// hand has the taker take the answer: while the next is read, if there is one.
func (f *fetching) hand(number int, answer seam.Answer) {
	if len(f.work.Volumes) == 1 {
		f.taker.Take(number, answer)
		return
	}
	if f.slots == nil {
		f.slots = make(chan struct{}, takesAtOnce)
	}
	f.slots <- struct{}{}
	f.taking.Go(func() {
		defer func() { <-f.slots }()
		_ = f.driver.guard.Run(f.work.Volumes[number].Subject(f.work.Source), func() error { // it is logged
			f.taker.Take(number, answer)
			return nil
		})
	})
}
