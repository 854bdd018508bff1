package coreserver

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/gate"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/internal/pause"
)

// Watch tells a node what changed. It is level-triggered: the stream holds a position
// in the history and nothing else, so that whatever happens while a slow watcher takes
// one message in becomes one message after it.
func (s *secretsService) Watch(request *secretsv1.WatchRequest, stream grpc.ServerStreamingServer[secretsv1.WatchResponse]) error {
	if err := s.admitNode(stream.Context()); err != nil {
		return err
	}
	if over := gate.Of(stream.Context()); over != nil {
		done, ok := over.Watch(maxWatches)
		if !ok {
			return status.Errorf(codes.ResourceExhausted, "%d watches stand on this connection already", maxWatches)
		}
		defer done()
	}
	s.config.Observer.Watching(1)
	defer s.config.Observer.Watching(-1)
	again := time.NewTimer(pause.Jittered(s.config.WatchAge))
	defer again.Stop()
	heartbeat := time.NewTicker(s.config.Heartbeat)
	defer heartbeat.Stop()
	position := s.store.Locate(request.GetRevision())
	for {
		// The first message goes out at once, and says at least that the watch stands.
		update, moved := s.store.Since(position)
		if err := stream.Send(watchMessage(update)); err != nil {
			return err
		}
		position = update.Position
		select {
		case <-moved:
		case <-heartbeat.C:
		case <-again.C:
			return nil // the node comes back, if it is still one, and is told what it missed
		case <-s.stopping:
			return status.Error(codes.Unavailable, "core is stopping")
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

// watchMessage is a resync, a change, or a heartbeat where nothing changed. What does not
// fit into a message is the revision alone, which says that anything may have changed.
func watchMessage(update store.Update) *secretsv1.WatchResponse {
	message := wholeMessage(update)
	if proto.Size(message) > MaxResponse {
		return &secretsv1.WatchResponse{Revision: message.GetRevision()}
	}
	return message
}

func wholeMessage(update store.Update) *secretsv1.WatchResponse {
	message := &secretsv1.WatchResponse{Revision: update.Snapshot.Revision, Resync: update.Resync}
	if update.Resync {
		message.Entries = make([]*secretsv1.EntryVersion, 0, update.Snapshot.Len())
		for w := range update.Snapshot.Watched() {
			message.Entries = append(message.Entries, entryVersion(w))
		}
		return message
	}
	for _, name := range update.Changed {
		// Without a version it is gone.
		message.Entries = append(message.Entries, entryVersion(store.Watched{Name: name, Version: update.Snapshot.WatchedAs(name)}))
	}
	return message
}

func entryVersion(w store.Watched) *secretsv1.EntryVersion {
	return &secretsv1.EntryVersion{Kind: kindMessage(w.Name.Kind), Name: w.Name.ID, Version: w.Version}
}
