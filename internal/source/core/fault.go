package core

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/claim"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

var errClosed = fmt.Errorf("%w: this client is closed", provider.ErrUnavailable)

// fault turns the error of a call into one of the seam's, and says whose turn it is.
// ctx is the caller's own, without the client's deadline.
func (c *Client) fault(ctx context.Context, err error, request provider.Request, scrub scrubber) error {
	return c.asking(c.explain(ctx, err, request, scrub))
}

// asking says where the trouble came from.
func (c *Client) asking(err error) error {
	return fmt.Errorf("asking core at %s: %w", c.config.Address, err)
}

// explain takes for everybody's what the connection says, and for the caller's own what core
// says to the call, or how long it takes over it.
func (c *Client) explain(ctx context.Context, err error, request provider.Request, scrub scrubber) error {
	answer := statusOf(err)
	said := scrub.quote(answer.Message())
	switch {
	case ctx.Err() != nil:
		return c.silent(fmt.Errorf("%w: %w", provider.ErrUnavailable, context.Cause(ctx)), scrub)
	case c.closed.Err() != nil:
		return errClosed
	case isOversize(answer):
		return fmt.Errorf("%w: this node accepts %d bytes, and core may send less: ask for fewer entries",
			provider.ErrTooLarge, c.mostBytes(request))
	}
	switch answer.Code() {
	case codes.Unauthenticated:
		return tokenRefused(scrub.only, said)
	case codes.PermissionDenied:
		return fmt.Errorf("%w: core refused the caller: %s", provider.ErrDenied, said)
	case codes.Unavailable:
		return c.unavailable(answer, scrub)
	case codes.DeadlineExceeded:
		return c.silent(provider.ErrUnavailable, scrub)
	case codes.ResourceExhausted:
		return exhausted(answer, said)
	case codes.Aborted, codes.Unknown, codes.Canceled:
		return provider.OfCall(notNow(answer, said))
	case codes.InvalidArgument:
		return fmt.Errorf("%w: core does not understand the request: %s", provider.ErrProtocol, said)
	case codes.Unimplemented:
		return fmt.Errorf("%w: this server speaks neither of core's contracts: check --core-address: %s", provider.ErrProtocol, said)
	default:
		return fmt.Errorf("%w: core answered what it must not: %s (%s)", provider.ErrProtocol, said, answer.Code())
	}
}

// tokenRefused says which token it was, since core says no more of one than it has proved.
func tokenRefused(token secret.Text, said string) error {
	return fmt.Errorf("%w: core refused the token: %s%s", provider.ErrUnauthenticated, said, claim.Shown(token.Reveal()))
}

// exhausted tells a core that wants fewer calls of this pod, which says when to ask again, from one
// that has too much to do.
func exhausted(answer *status.Status, said string) error {
	for _, detail := range answer.Details() {
		if _, is := detail.(*errdetails.RetryInfo); is {
			return provider.OfAccount(notNow(answer, said))
		}
	}
	return provider.OfCall(notNow(answer, said))
}

func notNow(answer *status.Status, said string) error {
	return fmt.Errorf("%w: core cannot answer now: %s (%s)", provider.ErrUnavailable, said, answer.Code())
}

// statusOf is the status as it was given. status.FromError would fold what gRPC wrapped
// around it (how often it retried) into the message.
func statusOf(err error) *status.Status {
	var given interface{ GRPCStatus() *status.Status }
	if errors.As(err, &given) {
		return given.GRPCStatus()
	}
	return status.New(codes.Unknown, err.Error())
}

// isOversize tells gRPC's own complaint about a message, at either end, from a server's
// about load: both come as RESOURCE_EXHAUSTED. A server that says the same words gains
// nothing.
func isOversize(answer *status.Status) bool {
	return answer.Code() == codes.ResourceExhausted && strings.Contains(answer.Message(), "larger than max")
}

// unavailable prefers what the last attempt to connect ended with to gRPC's text of
// it, which nobody should have to read.
func (c *Client) unavailable(answer *status.Status, scrub scrubber) error {
	hungUp, verdict := c.line.judged()
	why := ""
	switch failure := c.line.why(); {
	case failure != nil:
		why = whyNoConnection(failure, scrub)
	case verdict != nil:
		why = "core refused the client certificate, or misses one: check --core-cert and --core-key: " + scrub.quote(verdict.Error())
	case hungUp:
		why = "core hung up before it said anything; it may be starting or stopping: " + scrub.quote(answer.Message())
	default:
		return provider.OfCall(fmt.Errorf("%w: core says %s", provider.ErrUnavailable, scrub.quote(answer.Message())))
	}
	return fmt.Errorf("%w: %s", provider.ErrUnavailable, why)
}

// silent says why core let the time pass.
func (c *Client) silent(kind error, scrub scrubber) error {
	failure := c.line.why()
	switch {
	case failure != nil:
		return fmt.Errorf("%w: %s", kind, whyNoConnection(failure, scrub))
	case !c.line.isUp():
		return fmt.Errorf("%w: core could not be connected to in time", kind)
	}
	return provider.OfCall(fmt.Errorf("%w: core did not answer in time", kind))
}

// whyNoConnection says what to look at. A certificate that does not hold is a matter of
// configuration or of time at either end, and files already delivered stay good: hence
// unavailable, although waiting alone will not mend it.
func whyNoConnection(failure error, scrub scrubber) string {
	var (
		stranger x509.UnknownAuthorityError
		misnamed x509.HostnameError
		invalid  x509.CertificateInvalidError
		notTLS   tls.RecordHeaderError
		network  *net.OpError
	)
	switch {
	case errors.As(failure, &stranger):
		return "core's certificate is signed by a stranger: check --core-ca"
	case errors.As(failure, &misnamed):
		return "core's certificate is for another name: check --core-address: " + scrub.quote(misnamed.Error())
	case errors.As(failure, &invalid) && invalid.Reason == x509.Expired:
		return "core's certificate has expired or is not valid yet: renew it, and check this node's clock"
	case errors.As(failure, &notTLS):
		return "core does not speak TLS at this address: check --core-address"
	case errors.As(failure, &network) && network.Op == "dial":
		return "core cannot be reached: " + scrub.quote(network.Error())
	default:
		return "core cannot be connected to: " + scrub.quote(failure.Error())
	}
}
