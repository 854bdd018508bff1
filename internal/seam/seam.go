// Package seam is the line between the two halves of a node's daemon. The one that mounts has the
// volumes, their schedule, the outages and the memory of the node. The one that asks has the
// sources, the policy and the rendering, and keeps nothing of a volume. What goes over the line:
//
//   - Fetch: what volumes ask a source for, and back the bytes that they are to show;
//   - Watch: the names of what changed in a source;
//   - what package report tells of either half (report.Readers).
//
// Nothing here knows what a connection is, and no path of the node goes over.
package seam

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

// What both halves call things by.
const (
	// DriverName is the CSI driver's name.
	DriverName = "secrets.csi.leoflow.io"
	// CoreSource is the name of the source that cannot be asked without a token.
	CoreSource = "core"
	// CoreAudience is that of its tokens unless a flag says otherwise.
	CoreAudience = "leoflow-core"
)

// Fetcher is the half that asks. It is safe for concurrent use.
type Fetcher interface {
	// Sources are the names of its sources; the first is the default.
	Sources() []string
	// Source tells of one of them; false if there is none of that name.
	Source(name string) (Source, bool)
	// IsThere reports whether anybody is there to ask now. Fetch waits a moment for that, and fails by
	// ErrAway.
	IsThere() bool
	// Fetch makes one call to a source, and hands the taker what each volume is to show. It
	// returns once all is taken, or with why the rest is not: then the taker has nothing of it.
	Fetch(ctx context.Context, work Work, taker Taker) error
	// Watch tells of changes in a source until ctx ends, as a provider.Watcher does: it returns
	// call.ErrWatchUnsupported where there is nothing to watch. notify must not block.
	Watch(ctx context.Context, source string, notify func(Change)) error
}

// Source is what has to be known of a source to have it asked.
type Source struct {
	// IsGrouped is set if one call serves several pods, IsWatched if it may tell of changes.
	IsGrouped, IsWatched bool
	// Remembers is set if new pods may be given what others like them were given, while the
	// source cannot be asked.
	Remembers bool
	// FetchFor is the longest that a fetch takes.
	FetchFor time.Duration
	// PollEvery is how often it wants to be asked for changes; 0 leaves that to the schedule.
	PollEvery time.Duration
}

// Work is what volumes ask a source for that can share one call: they are of one identity and one
// request.
type Work struct {
	Source string
	// Request has in MaxBytes what there is memory for, and is Partial if there is for no more.
	call.Request
	// Room is the most bytes of values that a volume takes.
	Room int64
	// Least is what is reckoned for each volume at least, of MaxBytes.
	Least int64
	// IsAway has the source not asked, since it is known to be away: only what is remembered is
	// handed on.
	IsAway  bool
	Volumes []Volume
}

// KeyOf is equal for what can share one call: the same source, the same identity, the same names in
// whatever order. It is as long for a thousand names as for one, since it is kept with each volume.
func KeyOf(source string, pod call.Identity, asked call.Request) string {
	// No part can hold a NUL: attributes refuse it and Kubernetes names cannot.
	const end = "\x00"
	parts := []string{source, pod.Namespace, pod.ServiceAccount, strconv.FormatBool(pod.TaskToken)}
	for _, selection := range []call.Selection{asked.Connections, asked.Variables} {
		parts = append(parts, strconv.FormatBool(selection.All), strconv.Itoa(len(selection.Names)))
		parts = append(parts, slices.Sorted(slices.Values(selection.Names))...)
	}
	key := sha256.Sum256([]byte(strings.Join(parts, end)))
	return string(key[:])
}

// Volume is one that work is for.
type Volume struct {
	ID     string
	Pod    call.Identity
	Format Format
	// IsLive is set if it shows files.
	IsLive bool
	// Failures counts the deliveries that failed since the last good one.
	Failures int
	// Shown is what it delivers of the source. It may be left out for a volume that lists all it
	// wants and whose entries had no references last.
	Shown []Shown
}

// Shown is an entry that a volume delivers, and its environment variable.
type Shown struct {
	layout.Name
	Env string
}

// Subject is what a report has to know of the volume.
func (v Volume) Subject(source string) report.Volume {
	return report.Volume{
		ID: v.ID, Source: source, Namespace: v.Pod.Namespace,
		Pod: v.Pod.PodName, PodUID: v.Pod.PodUID, ServiceAccount: v.Pod.ServiceAccount,
	}
}

// Format is how connections are written into their files.
type Format string

// The formats, as a user writes them.
const (
	URI  Format = "uri"
	JSON Format = "json"
)

// Taker takes what a Fetch brings. Its methods may be called at once.
type Taker interface {
	// Told learns how the call ended, once, before anything is taken. It is not called if the
	// source was not to be asked.
	Told(Told)
	// Place waits for the memory that one more volume takes. For each there is one call of Take.
	Place()
	// Take takes what the volume with that number in the work is to show, and returns when it is
	// done with it.
	Take(i int, answer Answer)
}

// Told is how a call ended.
type Told struct {
	// Errs are why the volumes have no answer, one for each, in their order; nil for one that has.
	Errs []error
	// Each is what each volume takes of the MaxBytes.
	Each int64
	// Outgrown is set if the answer takes more than MaxBytes: no volume is handed on, and the
	// call is to be made again with more.
	Outgrown bool
}

// Answer is what one volume is to show of a source.
type Answer struct {
	// Err is why it is not known. It wraps an error of package call, or ErrOutgrown.
	Err error
	// Entries are the answer, in the order of their names. Beside an Err they are those that were
	// taken away, as far as that is known.
	Entries []Entry
	// Fetched is when the source said it.
	Fetched time.Time
	// Offline is why the source could not be asked, where the answer is remembered.
	Offline error
	// Refers is set if an entry has a reference, resolved or not.
	Refers bool
	// Identities are those of the pod's own at clouds of which entries speak, one for each cloud. Nobody
	// changes them.
	Identities []Identity
}

// Identity is the pod's own at one cloud, but for the token, which does not go over the line: the half that
// mounts was given it.
type Identity struct {
	layout.Identity
	// Text is the configuration's, and no secret.
	Text string
}

// MostIdentityText bounds an Identity's Text.
const MostIdentityText = 8 << 10

// ErrOutgrown is that what an answer refers to takes more memory than there is. The call is to be made
// again with more.
var ErrOutgrown = errors.New("more memory is needed than was reserved")

// ErrAway is that the half that asks is not there, or does not answer. It says nothing of any source.
var ErrAway = fmt.Errorf("%w: nobody can ask now", call.ErrUnavailable)

// ErrGone is that the half that asks is not there.
var ErrGone = fmt.Errorf("%w: the node's fetcher is not there; kubelet starts it again, and its log says why it ended", ErrAway)

// Change names what may have changed. It carries no values.
type Change struct {
	// All is set if it is not known what did.
	All     bool
	Entries []layout.Name
	// Namespace is that of the pods that it concerns; empty if it is any.
	Namespace string
}
