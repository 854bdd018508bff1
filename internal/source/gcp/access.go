package gcp

import (
	"cmp"
	"context"
	"errors"
	"hash/crc32"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"golang.org/x/net/http/httpproxy"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	exchanging = "exchanging the pod's token for Google Cloud's"
	reading    = "reading the secret from Secret Manager"
	listing    = "listing what Secret Manager holds"
)

// Access implements secretmanager.Session.
func (s *session) Access(ctx context.Context, ref entry.Reference) (secret.Text, error) {
	token, err := s.credentials.Token(ctx)
	if err != nil {
		return secret.Text{}, s.exchangeFailure(err)
	}
	at, err := s.endpoints.at(ref.Region)
	if err != nil {
		return secret.Text{}, secretmanager.Unreachable(reading)
	}
	answer, err := at.api.AccessSecretVersion(ctx,
		&secretmanagerpb.AccessSecretVersionRequest{Name: resourceName(ref)},
		gax.WithRetry(nil), gax.WithGRPCOptions(grpc.PerRPCCredentials(bearer{secret.New(token.Value)})))
	if err != nil {
		return secret.Text{}, at.failure(ctx, err)
	}
	payload := answer.GetPayload()
	if sum := payload.DataCrc32C; sum != nil && *sum != int64(crc32.Checksum(payload.GetData(), crc32.MakeTable(crc32.Castagnoli))) {
		return secret.Text{}, secretmanager.Unreachable(reading)
	}
	return secret.New(string(payload.GetData())), nil
}

func resourceName(ref entry.Reference) string {
	project := "projects/" + ref.Location
	if ref.Region != "" {
		project += "/locations/" + ref.Region
	}
	return project + "/secrets/" + ref.Name + "/versions/" + cmp.Or(ref.Version, "latest")
}

// bearer puts one pod's token into one call.
type bearer struct{ token secret.Text }

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token.Reveal()}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

// keepStatus keeps the status of a failed exchange, which the SDK would melt into a
// text along with the answer.
func keepStatus(response *http.Response) error {
	if response.StatusCode < http.StatusMultipleChoices {
		return nil
	}
	return secretmanager.ExchangeFailed(exchanging, response.StatusCode, response.Header)
}

func (s *session) exchangeFailure(err error) error {
	var failure *secretmanager.Failure
	if errors.As(err, &failure) {
		return s.presented.Refused(failure)
	}
	return secretmanager.Unreachable(exchanging)
}

// kinds of the codes that Secret Manager answers with; any other says that the
// reference cannot be used.
var kinds = map[codes.Code]error{
	codes.NotFound:          provider.ErrMissing,
	codes.PermissionDenied:  provider.ErrDenied,
	codes.Unauthenticated:   provider.ErrUnauthenticated,
	codes.ResourceExhausted: provider.ErrUnavailable,
	codes.Unavailable:       provider.ErrUnavailable,
	codes.DeadlineExceeded:  provider.ErrUnavailable,
	codes.Canceled:          provider.ErrUnavailable,
	codes.Aborted:           provider.ErrUnavailable,
	codes.Internal:          provider.ErrUnavailable,
	codes.Unknown:           provider.ErrUnavailable,
}

func (e *endpoint) failure(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return secretmanager.Unreachable(reading)
	}
	answer := status.Convert(err)
	isUnreached := answer.Code() == codes.Unavailable && e.conn.GetState() == connectivity.TransientFailure
	if isUnreached && !e.isHost(ctx) {
		return secretmanager.NoSuchHost(e.host)
	}
	if isOfAnother(answer) {
		return &secretmanager.Failure{Kind: provider.ErrUnavailable,
			Text: reading + ": " + answer.Code().String() + ", and not from the store; see what answers in its place, such as a proxy, and have that let the driver through"}
	}
	if answer.Code() == codes.FailedPrecondition {
		return ofPrecondition(answer.Message())
	}
	if why := refusedToProject(answer); why != "" {
		return &secretmanager.Failure{Kind: provider.ErrUnavailable, Whole: true, Text: reading + ": PermissionDenied, and not by IAM: " + why}
	}
	return &secretmanager.Failure{
		Kind: kinds[answer.Code()], Text: reading + ": " + answer.Code().String(),
		Throttled:  answer.Code() == codes.ResourceExhausted,
		RetryAfter: retryDelay(answer),
		Unreached:  isUnreached,
	}
}

// isOfAnother tells an answer of a gateway, a proxy or a mesh in the store's place: of HTTP alone, to whose status gRPC has a
// code, or by gRPC of what has no way there, or of Envoy's own rules.
func isOfAnother(answer *status.Status) bool {
	return answer.Code() == codes.Unimplemented || strings.HasPrefix(answer.Message(), "unexpected HTTP status code received from server") ||
		strings.Contains(answer.Message(), "RBAC: access denied")
}

// ofPrecondition tells a version that somebody disabled or destroyed, and which might as well not exist, from a secret that
// is there and cannot be read, as where its key in Cloud KMS is disabled. Only their words differ, which are never repeated.
// Of versions they are as in public reports: "Secret Version [NAME] is in DISABLED state.", once "is not in ENABLED state".
// Of keys they are known from documents alone, so that whatever else Google says takes no file from a pod that runs.
func ofPrecondition(message string) error {
	const doing = reading + ": FailedPrecondition"
	switch { // a secret may be called KMS, and no name has a blank
	case strings.Contains(message, "DISABLED state"), strings.Contains(message, "DESTROYED state"), strings.Contains(message, "not in ENABLED state"):
		return &secretmanager.Failure{Kind: provider.ErrMissing, Text: doing}
	case strings.Contains(message, "KMS"), strings.Contains(message, "/cryptoKeys/"):
		return secretmanager.Unusable(doing + ", of its key in Cloud KMS; enable the key, and let Secret Manager's service agent use it")
	}
	return secretmanager.Unusable(doing + "; look at the state of the secret's latest version and of its key")
}

// ofProjects are the reasons for which Google denies whatever is asked of a project, whoever asks, or from a network.
var ofProjects = map[string]string{
	"SERVICE_DISABLED":         "its API is not enabled in the project; enable secretmanager.googleapis.com",
	"BILLING_DISABLED":         "the project has no billing; enable it",
	"CONSUMER_SUSPENDED":       "the project is suspended; see why in Google Cloud's console",
	"CONSUMER_INVALID":         "the project is suspended or deleted; restore it, or correct its name",
	"SECURITY_POLICY_VIOLATED": "a perimeter of VPC Service Controls does not admit this node; have it admitted",
}

// refusedToProject is empty for what is denied to the pod: by IAM, whose domain is another, or without a reason.
func refusedToProject(answer *status.Status) string {
	for _, detail := range answer.Details() {
		info, is := detail.(*errdetails.ErrorInfo)
		if is && answer.Code() == codes.PermissionDenied && info.GetDomain() == "googleapis.com" && info.GetReason() != "IAM_PERMISSION_DENIED" {
			return cmp.Or(ofProjects[info.GetReason()], "the project or the network is refused; look at its state")
		}
	}
	return ""
}

// isHost is false where the DNS says that it has no such host, which gRPC does not tell from
// one that does not answer. Where calls go through a proxy, that one looks names up.
func (e *endpoint) isHost(ctx context.Context) bool {
	proxy, err := httpproxy.FromEnvironment().ProxyFunc()(&url.URL{Scheme: "https", Host: e.host})
	if proxy != nil || err != nil {
		return true
	}
	_, err = net.DefaultResolver.LookupHost(ctx, e.host)
	var name *net.DNSError
	return !errors.As(err, &name) || !name.IsNotFound
}

func retryDelay(answer *status.Status) time.Duration {
	for _, detail := range answer.Details() {
		if info, is := detail.(*errdetails.RetryInfo); is {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}
