package csi

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/excerpt"
	"github.com/leoflow/secrets-csi/internal/report"
)

// codeOf is the one place where a failed delivery becomes a gRPC code. Kubelet
// (isFinalError in its CSI client) takes Canceled, DeadlineExceeded, Unavailable,
// ResourceExhausted and Aborted to mean that the call may still be under way, and
// every other code to mean that nothing is mounted; it retries after both.
func codeOf(reason report.Reason) codes.Code {
	switch reason {
	case report.Unavailable:
		return codes.Unavailable
	case report.Unauthenticated:
		return codes.Unauthenticated
	case report.Denied:
		return codes.PermissionDenied
	case report.Missing:
		return codes.NotFound
	case report.Invalid, report.BadTarget, report.Conflict:
		return codes.FailedPrecondition
	case report.NoSpace, report.NoMemory:
		return codes.ResourceExhausted
	case report.Busy:
		return codes.Aborted
	case report.Cancelled:
		return codes.Canceled
	case report.Deadline:
		return codes.DeadlineExceeded
	case report.Internal:
		return codes.Internal
	}
	return codes.Internal
}

// statusOf turns an error of delivery into what kubelet is told. The causes behind a
// report.Error stay behind it; an error of any other kind is not quoted at all,
// because nobody vouches for its text.
func statusOf(err error) error {
	var failed *report.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		return status.Error(codeOf(failed.Reason), failed.Message)
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "kubelet gave the call up")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the call took longer than kubelet waits; kubelet tries again")
	}
	return status.Error(codes.Internal, "internal error of the driver; please report it")
}

// maxMessage is above what fits into an event, and far below what a volume of a thousand
// missing entries makes. kubelet logs a message at every try, and so does this driver.
const maxMessage = 2 << 10

// statusAt is statusOf for a call about the volume at path. The message becomes an event,
// which the pod's author reads: where kubelet keeps pods on the node is not his to know.
func statusAt(path string, err error) error {
	err = statusOf(err)
	if err == nil {
		return nil
	}
	said := status.Convert(err)
	return status.Error(said.Code(), excerpt.Cut(maxMessage, strings.ReplaceAll(said.Message(), path, "the target path")))
}

// invalidf is a request that must change before it can succeed.
func invalidf(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}
