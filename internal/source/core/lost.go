package core

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// surviving asks once more where the connection has broken under a call: that says nothing of core,
// which may have a neighbour at the same address. gRPC's own retries are few for the whole node, and
// one connection carries the calls of all its pods; so many may be under way when it breaks, and gRPC
// may give it some more before it notices.
func surviving(over *line) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		before, stood := over.broken.Load(), over.standing.Load() > 0
		err := invoke(ctx, method, request, reply, conn, options...)
		broke := over.broken.Load() != before || !stood && over.standing.Load() == 0
		if status.Code(err) == codes.Unavailable && broke && ctx.Err() == nil {
			err = invoke(ctx, method, request, reply, conn, options...)
		}
		return err
	}
}
