package coreserver

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/gate"
)

const (
	// tellingSize is about what telling of one entry takes, as a message and in the connection's
	// buffers.
	tellingSize = 256
	// fewTold is so little to tell of that nobody waits for room.
	fewTold = 64
)

// reckoned is a watch that waits for memory for a large message, and has it until the message has
// left: a node may read slowly, or not at all, and have many watches.
type reckoned struct {
	grpc.ServerStreamingServer[secretsv1.WatchResponse]
	server *Server
	held   func() // frees what the next message has; nil for nothing
}

// holdFirst waits until there is memory to make the first message of the watch, which may tell of all
// that there is.
func (r *reckoned) holdFirst(request *secretsv1.WatchRequest) error {
	update := r.server.store.Since(r.server.store.Locate(request.GetRevision()))
	count := len(update.Changed)
	if update.Resync || len(request.GetAdded()) > 0 {
		count = update.Snapshot.Len()
	}
	return r.hold(count)
}

// hold waits for memory for a message that tells of so many entries.
func (r *reckoned) hold(entries int) (err error) {
	if entries <= fewTold || r.held != nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), r.server.config.Heartbeat, gate.ErrBusy)
	defer cancel()
	if r.held, err = r.server.watches.Await(ctx, peerHost(ctx), int64(entries)*tellingSize); err != nil {
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	return nil
}

// free gives back what was held for a message that is not sent.
func (r *reckoned) free() {
	if r.held != nil {
		r.held()
		r.held = nil
	}
}

// Send implements grpc.ServerStreamingServer.
func (r *reckoned) Send(message *secretsv1.WatchResponse) error {
	if err := r.hold(len(message.GetEntries()) + len(message.GetShown())); err != nil {
		return err
	}
	over, size := gate.Of(r.Context()), proto.Size(message)
	if r.held == nil || over == nil || size <= small {
		defer r.free()
		return r.ServerStreamingServer.Send(message)
	}
	at := over.Promise(size)
	if err := r.ServerStreamingServer.Send(message); err != nil {
		return err
	}
	release := r.held
	r.held = nil
	over.WhenSent(at, func(bool) { release() })
	return nil
}
