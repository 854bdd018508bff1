package kubernetes

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

const (
	// entryBytes is what an entry takes besides its value.
	entryBytes = 1 << 10
	// mostMetadata is more than the metadata of a Secret take.
	mostMetadata = 1 << 20
)

// errNoRoom: the API server answers more than there is memory for.
var errNoRoom = errors.New("the API server answers more than there is memory for")

// room is the memory that one Fetch may take. What is being read takes of it as it comes, and
// what is dropped after it was read is given back.
type room struct {
	bounded bool
	left    atomic.Int64
	// full is set once something did not fit.
	full atomic.Bool
}

func newRoom(most int64) *room {
	made := &room{bounded: most > 0}
	made.left.Store(most)
	return made
}

// reading is one answer that is being read into the room.
type reading struct {
	into  *room
	taken atomic.Int64
}

type readingKey struct{}

// begin returns a context for one call whose answer is read into the room.
func (r *room) begin(ctx context.Context) (context.Context, *reading) {
	made := &reading{into: r}
	return context.WithValue(ctx, readingKey{}, made), made
}

// end gives the answer back but for what is kept of it; false if there is no room for that.
func (r *reading) end(kept int64) bool {
	left := r.into.left.Add(r.taken.Swap(0) - kept)
	if !r.into.bounded || left >= 0 || kept == 0 {
		return true
	}
	r.into.left.Add(kept)
	return false
}

// bounded reads the bodies of answers into the room of their calls.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(request)
	if into, ok := request.Context().Value(readingKey{}).(*reading); ok && err == nil {
		response.Body = body{response.Body, into}
	}
	return response, err
}

type body struct {
	io.ReadCloser
	reading *reading
}

func (b body) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	b.reading.taken.Add(int64(n))
	if b.reading.into.left.Add(-int64(n)) < 0 && b.reading.into.bounded {
		return n, errNoRoom
	}
	return n, err
}

// bytesOf is what is kept of an entry.
func bytesOf(e entry.Entry) int64 {
	bytes := int64(entryBytes)
	for value := range e.Secrets() {
		bytes += int64(value.Len())
	}
	return bytes
}
