package coreserver

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Watch tells a node what changed. It is level-triggered: the stream holds a position
// in the history and nothing else, so that whatever happens while a slow watcher takes
// one message in becomes one message after it.
//
// It returns once the first message is out, which says at least that the watch stands. What
// follows is sent by the tellers; the call itself only waits for its end.
func (s *secretsService) Watch(request *secretsv1.WatchRequest, stream grpc.ServerStreamingServer[secretsv1.WatchResponse]) error {
	over, done, err := s.admitWatch(stream.Context(), request)
	if err != nil {
		return err
	}
	w := &watcher{
		server: s.Server, stream: reckoned{ServerStreamingServer: stream, server: s.Server},
		history: s.store.History, scope: over, told: request.GetRevision(), ended: make(chan error, 1),
	}
	callOf(stream.Context()).stays = func(err error) error {
		defer done()
		defer w.stream.free()
		if err != nil {
			return err
		}
		return s.hold(w)
	}
	if err := w.stream.holdFirst(request); err != nil {
		return err
	}
	now := time.Now()
	w.ends = now.Add(pause.Jittered(s.config.WatchAge))
	w.beat = w.nextBeat(now)
	return w.stream.Send(w.first())
}

// hold returns when the watch ends.
func (s *Server) hold(w *watcher) error {
	s.config.Observer.Watching(1)
	defer s.config.Observer.Watching(-1)
	s.tellers.add(w)
	defer s.tellers.remove(w)
	select {
	case err := <-w.ended:
		return err
	case <-s.stopping:
		return status.Error(codes.Unavailable, "core is stopping")
	case <-w.stream.Context().Done():
		return status.FromContextError(w.stream.Context().Err()).Err()
	}
}

// admitWatch decides whether the node may watch, and what it is told of. Done is to be called at the end.
func (s *Server) admitWatch(ctx context.Context, request *secretsv1.WatchRequest) (over scope, done func(), err error) {
	if s.config.ScopedWatch && !request.GetScoped() {
		return scope{}, nil, status.Error(codes.Unimplemented, "this core tells nobody all names, and this driver does not say which it is concerned with: upgrade it, until then it polls")
	}
	if done, err = s.admitWatcher(ctx, request); err != nil {
		return scope{}, nil, err
	}
	defer func() {
		if err != nil {
			done()
		}
	}()
	shown, _, err := s.driver(ctx)
	if err != nil {
		return scope{}, nil, err
	}
	over, err = s.scopeOf(request, shown.holder())
	return over, done, err
}

// watcher is one stream's place in the history.
type watcher struct {
	server  *Server
	stream  reckoned
	history *store.History
	scope   scope
	ends    time.Time
	ended   chan error // takes the one error that the watch ends with; nil at its age
	place   place      // among the tellers

	sending  sync.Mutex // guards what follows
	gone     bool       // the call is over: nothing is sent any more
	beat     time.Time  // when it is told something in any case
	told     string     // the revision that the node knows
	position store.Position
}

func (w *watcher) nextBeat(now time.Time) time.Time {
	next := now.Add(w.server.config.Heartbeat)
	if next.After(w.ends) {
		return w.ends
	}
	return next
}

// tell sends what the node does not know yet, and a heartbeat when that is due. It returns when it
// wants to tell the next.
func (w *watcher) tell(now time.Time) (beat time.Time) {
	w.sending.Lock()
	defer w.sending.Unlock()
	if w.gone {
		return w.beat
	}
	var err error
	defer func() {
		if err != nil {
			w.end(err)
		}
	}()
	defer w.server.contain(w.stream.Context(), secretsv1.SecretsService_Watch_FullMethodName, &err)
	due := !now.Before(w.beat)
	if due && !now.Before(w.ends) {
		w.end(nil) // the node comes back, if it is still one, and is told what it missed
		return w.beat
	}
	if due {
		w.beat = w.nextBeat(now)
	}
	if message := w.next(due); message != nil {
		err = w.stream.Send(message)
	}
	return w.beat
}

func (w *watcher) end(err error) {
	select {
	case w.ended <- err:
	default:
	}
}

// leave waits for what is being sent. Nothing is from then on.
func (w *watcher) leave() {
	w.sending.Lock()
	defer w.sending.Unlock()
	w.gone = true
}

func (w *watcher) first() *secretsv1.WatchResponse {
	w.position = w.history.Locate(w.told)
	update := w.history.Since(w.position)
	switch {
	case w.scope.lost:
		w.told, w.position = update.Snapshot.Revision, update.Position
		return &secretsv1.WatchResponse{Revision: w.told, Since: proto.String("")}
	case update.Resync && w.told == "": // as all nodes are told after a restart
		message := w.shared(update)
		w.told, w.position = message.GetRevision(), update.Position
		return message
	}
	var added []entry.Name
	var shown []*secretsv1.EntryVersion
	if !update.Resync {
		added, shown = w.scope.newcomers(w.history, update.Snapshot)
		added = append(added, w.scope.names(update)...)
	}
	message := w.message(update, added)
	w.told, w.position = message.GetRevision(), update.Position
	message.Shown = shown
	return fitting(message)
}

// next is nil where there is nothing that the node must be told before the next beat. A scoped
// watcher hears of what does not concern it with the beat alone, as the state that it is at.
func (w *watcher) next(beat bool) *secretsv1.WatchResponse {
	update := w.history.Since(w.position)
	if !beat && update.Position == w.position {
		return nil
	}
	message := w.shared(update)
	w.position = update.Position
	if !beat && !w.scope.all && !message.GetResync() && len(message.GetEntries()) == 0 {
		return nil
	}
	w.told = message.GetRevision()
	return message
}

// shared is the message that all get who stand where this one does, and may know as much.
func (w *watcher) shared(update store.Update) *secretsv1.WatchResponse {
	return w.server.recent.get(shared{w.position, update.Position, w.told, w.scope.all, w.scope.spelled}, func() *secretsv1.WatchResponse {
		return w.message(update, w.scope.names(update))
	})
}

// message is a resync, a change of the names, or a heartbeat where there are none.
func (w *watcher) message(update store.Update, names []entry.Name) *secretsv1.WatchResponse {
	message := &secretsv1.WatchResponse{Revision: update.Snapshot.Revision, Resync: update.Resync}
	if !w.scope.all {
		message.Since = proto.String(w.told)
	}
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
