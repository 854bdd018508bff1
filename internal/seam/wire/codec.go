package wire

import (
	"encoding/binary"
	"sync"
	"time"
)

// writer appends to what is to be sent.
type writer struct{ b []byte }

func (w *writer) byte(b byte)   { w.b = append(w.b, b) }
func (w *writer) uint(n uint64) { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) text(s string) { w.uint(uint64(len(s))); w.b = append(w.b, s...) }
func (w *writer) flags(of ...bool) {
	flags := uint64(0)
	for i, is := range of {
		if is {
			flags |= 1 << i
		}
	}
	w.uint(flags)
}

func (w *writer) texts(all []string) {
	w.uint(uint64(len(all)))
	for _, one := range all {
		w.text(one)
	}
}

// at is a time, or that there is none.
func (w *writer) at(t time.Time) {
	if t.IsZero() {
		w.uint(0)
		return
	}
	w.uint(uint64(t.UnixNano()))
}

// mostKept is what a buffer keeps of its memory for the next message.
const mostKept = 32 << 10

// writers are those of the connections that send nothing now: a node has dozens that wait.
var writers = sync.Pool{New: func() any { return new(writer) }}

// chunkSize is an ordinary call's, of a pod with a few tokens.
const chunkSize = 4 << 10

// chunks are what is read into.
var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// wipe leaves nothing of what was in a buffer, which holds values and tokens, and returns it empty.
func wipe(b []byte) []byte {
	clear(b[:cap(b)])
	if cap(b) > mostKept {
		return nil
	}
	return b[:0]
}

// reader takes apart what came. What is cut short or cannot be is bad, and all that is read then is
// zero.
type reader struct {
	rest  string
	isBad bool
}

func (r *reader) fail() { r.rest, r.isBad = "", true }

func (r *reader) byte() byte {
	if r.rest == "" {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) uint() (n uint64) {
	for shift := 0; shift < 64; shift += 7 {
		b := r.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if r.isBad {
				return 0
			}
			return n
		}
	}
	r.fail()
	return 0
}

func (r *reader) text() string {
	size := r.uint()
	if size > uint64(len(r.rest)) {
		r.fail()
		return ""
	}
	text := r.rest[:size]
	r.rest = r.rest[size:]
	return text
}

// count is how many things follow, each of which takes a byte at least.
func (r *reader) count() int {
	count := r.uint()
	if count > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return int(count)
}

func (r *reader) flags(into ...*bool) {
	flags := r.uint()
	if flags>>len(into) != 0 {
		r.fail()
		return
	}
	for i, is := range into {
		*is = flags&(1<<i) != 0
	}
}

func (r *reader) texts() []string {
	count := r.count()
	if count == 0 {
		return nil
	}
	all := make([]string, count)
	for i := range all {
		all[i] = r.text()
	}
	return all
}

func (r *reader) at() time.Time {
	nanoseconds := r.uint()
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(nanoseconds))
}

// end reports whether all was read and nothing was bad.
func (r *reader) end() bool { return !r.isBad && r.rest == "" }
