package wire

import (
	"errors"
	"fmt"
	"time"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/version"
)

// magic begins a connection, and is of this protocol alone.
const magic = "leoflow seam 1"

// build is which build a program is of. Both ends of a line are of one.
func build() string {
	if version.Commit == "" {
		return version.Version
	}
	return version.Version + " (commit " + version.Commit + ")"
}

// named is a source and what has to be known of it.
type named struct {
	name string
	seam.Source
}

// hello is how the fetcher introduces itself.
type hello struct {
	build string
	// instance is another for each process.
	instance string
	sources  []named
}

func (w *writer) hello(h hello) {
	w.text(magic)
	w.text(h.build)
	w.text(h.instance)
	w.uint(uint64(len(h.sources)))
	for _, one := range h.sources {
		w.text(one.name)
		w.flags(one.IsGrouped, one.IsWatched, one.Remembers)
		w.uint(uint64(one.FetchFor))
		w.uint(uint64(one.PollEvery))
	}
}

const (
	// mostSources bounds the sources of a node, mostFetchFor how long a fetch of any may take, and
	// mostPollEvery how seldom one is polled: what is near the longest duration that there is would
	// come round to the past.
	mostSources, mostFetchFor, mostPollEvery = 64, 10 * time.Minute, 30 * 24 * time.Hour
)

// hello reads what a fetcher says of itself. One of another build is known by its name before the
// rest is read, which may be in another form.
func (r *reader) hello(build string) (h hello, err error) {
	if r.text() != magic {
		return hello{}, errors.New("it speaks another protocol")
	}
	if h.build = r.text(); h.build != build {
		return hello{}, fmt.Errorf("the fetcher is of the build %s, the driver of the build %s: run both from one image", shorten(h.build), build)
	}
	h.instance = r.text()
	h.sources = make([]named, min(r.count(), mostSources+1))
	for i := range h.sources {
		one := &h.sources[i]
		one.name = r.text()
		r.flags(&one.IsGrouped, &one.IsWatched, &one.Remembers)
		one.FetchFor, one.PollEvery = time.Duration(r.uint()), time.Duration(r.uint())
		if one.name == "" || one.FetchFor <= 0 || one.FetchFor > mostFetchFor || one.PollEvery < 0 || one.PollEvery > mostPollEvery {
			r.fail()
		}
	}
	if !r.end() || len(h.sources) > mostSources {
		return hello{}, fmt.Errorf("%w: what it says of its sources cannot be read", errLied)
	}
	return h, nil
}
