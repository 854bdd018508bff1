package wire

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
)

// Records of a report.
const (
	recordCall byte = 1 + iota
	recordDelivery
	recordPanic
	recordEvent
	recordLost // so many there was no room for
)

const (
	// mostUnreported bounds what the driver did and no fetcher has counted, in bytes.
	mostUnreported = 1 << 20
	// ofReport is what a report is reckoned at besides its records, and ofLost bounds a recordLost.
	ofReport, ofLost = 64, 16
)

// Reports is the driver's report.Observer and report.Recorder: it keeps what happens until a fetcher says
// that it has counted it, and of more than there is room for how much it was. It never waits. Its zero
// value keeps.
type Reports struct {
	mu     sync.Mutex
	unsent writer
	lost   uint64
	// sent are the reports that nobody has said to have counted, the first first; ofSent is what they take.
	sent   [][]byte
	ofSent int
	// more is closed with the next record; nil while nobody waits.
	more chan struct{}
}

func (r *Reports) add(write func(w *writer)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.unsent.b)
	write(&r.unsent)
	if !r.hasRoom() {
		r.unsent.b = r.unsent.b[:before]
		r.lost++
	}
	r.wake()
}

// hasRoom reports whether there is room for what was not sent, and to say how much was lost.
func (r *Reports) hasRoom() bool {
	return r.ofSent+len(r.unsent.b)+ofReport+ofLost <= mostUnreported
}

// hasSome reports whether there is anything to send. A fetcher that counts nothing is told of no loss.
func (r *Reports) hasSome() bool { return len(r.unsent.b) > 0 || r.lost > 0 && r.hasRoom() }

func (r *Reports) wake() {
	if r.more != nil && r.hasSome() {
		close(r.more)
		r.more = nil
	}
}

func sizeOf(sent []byte) int { return cap(sent) + ofReport }

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
	r.wake()
	return more
}

// take takes all that was not sent, to be sent now; empty if there is nothing.
func (r *Reports) take() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost > 0 && r.hasRoom() {
		r.unsent.byte(recordLost)
		r.unsent.uint(r.lost)
		r.lost = 0
	}
	taken := r.unsent.b
	if len(taken) > 0 {
		r.unsent.b = nil
		r.sent, r.ofSent = append(r.sent, taken), r.ofSent+sizeOf(taken)
	}
	return taken
}

// counted forgets the report that was sent first, and fails if there is none.
func (r *Reports) counted() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.sent) == 0 {
		return fmt.Errorf("%w: it has counted what it was not told", errLied)
	}
	r.ofSent -= sizeOf(r.sent[0])
	r.sent[0] = nil
	r.sent = r.sent[1:]
	r.wake()
	return nil
}

// uncounted are the reports that were sent to a fetcher which has not said that it has counted them.
func (r *Reports) uncounted() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent)
}

var (
	_ report.Observer = (*Reports)(nil)
	_ report.Recorder = (*Reports)(nil)
)
