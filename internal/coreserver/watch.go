package coreserver

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/gate"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Watch tells a node what changed. It is level-triggered: the stream holds a position
// in the history and nothing else, so that whatever happens while a slow watcher takes
// one message in becomes one message after it.
func (s *secretsService) Watch(request *secretsv1.WatchRequest, stream grpc.ServerStreamingServer[secretsv1.WatchResponse]) error {
	over, err := s.admitWatch(stream.Context(), request)
	if err != nil {
		return err
	}
	if conn := gate.Of(stream.Context()); conn != nil {
		done, ok := conn.Watch(maxWatches)
		if !ok {
			return status.Errorf(codes.ResourceExhausted, "%d watches stand on this connection already", maxWatches)
		}
		defer done()
	}
	telling, err := s.reckon(stream, request)
	if err != nil {
		return err
	}
	defer telling.free()
	s.config.Observer.Watching(1)
	defer s.config.Observer.Watching(-1)
	ends := time.Now().Add(pause.Jittered(s.config.WatchAge))
	beat := time.NewTimer(min(s.config.Heartbeat, time.Until(ends))) // the one timer of thousands of streams each
	defer beat.Stop()
	told := watcher{history: s.store.History, recent: &s.recent, scope: over, told: request.GetRevision()}
	// The first message goes out at once, and says at least that the watch stands.
	message, moved := told.first()
	for {
		if message != nil {
			if err := telling.Send(message); err != nil {
				return err
			}
		}
		select {
		case <-moved:
			message, moved = told.next(false)
		case <-beat.C:
			left := time.Until(ends)
			if left <= 0 {
				return nil // the node comes back, if it is still one, and is told what it missed
			}
			beat.Reset(min(s.config.Heartbeat, left))
			message, moved = told.next(true)
		case <-s.stopping:
			return status.Error(codes.Unavailable, "core is stopping")
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

// admitWatch decides whether the node may watch, and what it is told of.
func (s *Server) admitWatch(ctx context.Context, request *secretsv1.WatchRequest) (scope, error) {
	if s.config.ScopedWatch && !request.GetScoped() {
		return scope{}, status.Error(codes.Unimplemented, "this core tells nobody all names, and this driver does not say which it is concerned with: upgrade it, until then it polls")
	}
	if err := s.admitNode(ctx); err != nil {
		return scope{}, err
	}
	shown, _, err := s.driver(ctx)
	if err != nil {
		return scope{}, err
	}
	return s.scopeOf(request, shown.holder())
}

// watcher is one stream's place in the history.
type watcher struct {
	history  *store.History
	recent   *recent
	scope    scope
	told     string // the revision that the node knows
	position store.Position
}

func (w *watcher) first() (*secretsv1.WatchResponse, <-chan struct{}) {
	w.position = w.history.Locate(w.told)
	update, moved := w.history.Since(w.position)
	switch {
	case w.scope.lost:
		w.told = update.Snapshot.Revision
		w.position = update.Position
		return &secretsv1.WatchResponse{Revision: w.told, Since: proto.String("")}, moved
	case update.Resync:
		return w.message(update, nil), moved
	}
	added, shown := w.scope.newcomers(w.history, update.Snapshot)
	message := w.message(update, append(w.scope.names(update), added...))
	message.Shown = shown
	return fitting(message), moved
}

// next is nil where there is nothing that the node must be told before the next beat. A scoped
// watcher hears of what does not concern it with the beat alone, as the state that it is at.
func (w *watcher) next(beat bool) (*secretsv1.WatchResponse, <-chan struct{}) {
	update, moved := w.history.Since(w.position)
	message := w.recent.get(shared{w.position, update.Position, w.told, w.scope.all, w.scope.spelled}, func() *secretsv1.WatchResponse {
		next := *w // nobody has been told yet
		return next.message(update, w.scope.names(update))
	})
	w.position = update.Position
	if !beat && !w.scope.all && !message.GetResync() && len(message.GetEntries()) == 0 {
		return nil, moved
	}
	w.told = message.GetRevision()
	return message, moved
}

// message is a resync, a change of the names, or a heartbeat where there are none. The node knows
// what it says.
func (w *watcher) message(update store.Update, names []entry.Name) *secretsv1.WatchResponse {
	message := &secretsv1.WatchResponse{Revision: update.Snapshot.Revision, Resync: update.Resync}
	if !w.scope.all {
		message.Since = proto.String(w.told)
	}
	w.told, w.position = update.Snapshot.Revision, update.Position
	if update.Resync {
		message.Entries = w.scope.list(update.Snapshot)
		return fitting(message)
	}
	slices.SortFunc(names, entry.Compare)
	version := w.scope.versions(update.Snapshot)
	for _, name := range slices.Compact(names) {
		// Without a version it is gone.
		message.Entries = append(message.Entries, entryVersion(store.Watched{Name: name, Version: version(name)}))
	}
	return fitting(message)
}

// fitting is the message or, where it does not fit into one, the revision alone, which says that
// anything may have changed.
func fitting(message *secretsv1.WatchResponse) *secretsv1.WatchResponse {
	if proto.Size(message) <= MaxResponse {
		return message
	}
	short := &secretsv1.WatchResponse{Revision: message.GetRevision()}
	if message.Since != nil {
		short.Since = proto.String("")
	}
	return short
}

func entryVersion(w store.Watched) *secretsv1.EntryVersion {
	return &secretsv1.EntryVersion{Kind: kindMessage(w.Name.Kind), Name: w.Name.ID, Version: w.Version}
}
