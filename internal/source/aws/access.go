package aws

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	exchangingToken = "exchanging the pod's token for AWS credentials"
	askingAgent     = "asking the agent of EKS Pod Identity for the pod's AWS credentials"
	listing         = "listing what Secrets Manager holds"
	reading         = "reading the secret from Secrets Manager"
	// versionIDLength is the least that an id has; a stage's label is shorter.
	versionIDLength = 32
)

// session is one pod's under one role; the credentials exchange the token once and
// renew by themselves.
type session struct{ *api }

// secretValue is what Secrets Manager says of a secret, alone or in a batch.
type secretValue struct {
	Name, ARN, SecretString *string
	SecretBinary            []byte
}

// Access implements secretmanager.Session.
func (s *session) Access(ctx context.Context, ref entry.Reference) (secret.Text, error) {
	input := map[string]string{"SecretId": ref.Name}
	switch {
	case len(ref.Version) >= versionIDLength:
		input["VersionId"] = ref.Version
	case ref.Version != "":
		input["VersionStage"] = ref.Version
	}
	var answer secretValue
	if err := s.call(ctx, reading, "GetSecretValue", input, &answer); err != nil {
		return secret.Text{}, err
	}
	return textOf(answer.SecretString, answer.SecretBinary)
}

func textOf(text *string, binary []byte) (secret.Text, error) {
	switch {
	case text == nil && binary == nil: // an answer that was cut off
		return secret.Text{}, secretmanager.Unreachable(reading)
	case text == nil:
		return secret.Text{}, secretmanager.Unusable("the secret is binary; store text")
	}
	return secret.New(*text), nil
}

// exchanging gives the failures of an exchange their own text and kind, before the SDK
// wraps them into those of the call that needed the credentials.
type exchanging struct {
	presented secretmanager.Presented
	aws.CredentialsProvider
}

func (e exchanging) Retrieve(ctx context.Context) (aws.Credentials, error) {
	credentials, err := e.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, secretmanager.OfPod(e.presented.Refused(failure(exchangingToken, err)))
	}
	return credentials, nil
}

// codes of AWS's errors by what they mean here. The HTTP status says less: an expired
// token and a throttled call are both 400.
var codes = map[error][]string{
	provider.ErrMissing: {"ResourceNotFoundException", "ParameterNotFound", "ParameterVersionNotFound"},
	provider.ErrDenied:  {"AccessDeniedException", "AccessDenied"},
	provider.ErrUnauthenticated: {
		"ExpiredToken", "ExpiredTokenException", "InvalidIdentityToken", "InvalidIdentityTokenException", "IDPRejectedClaim",
		"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "IncompleteSignature", "SignatureDoesNotMatch", "RequestExpired",
	},
	nil: {"DecryptionFailure", "InvalidKeyId", "InvalidParameterException", "ValidationException", "ValidationError", "RegionDisabledException", "OptInRequired", "UnknownOperationException"},
	provider.ErrUnavailable: append([]string{
		"InternalServiceError", "InternalServiceErrorException", "InternalFailure", "ServiceUnavailable", "IDPCommunicationError",
	}, throttling...),
}

var throttling = []string{
	"Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException", "RequestLimitExceeded", "LimitExceededException",
}

// failure is why an exchange failed.
func failure(doing string, err error) error {
	var already *secretmanager.Failure
	if errors.As(err, &already) {
		return already
	}
	var known smithy.APIError
	if errors.As(err, &known) {
		if named := ofErrorCode(doing, known.ErrorCode(), known.ErrorMessage()); named != nil {
			return named
		}
	}
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() < http.StatusBadRequest {
		return secretmanager.Unreachable(doing)
	}
	return secretmanager.ExchangeFailed(doing, answer.HTTPStatusCode(), answer.HTTPResponse().Header)
}

// invalidRequest is what Secrets Manager says of a secret whose state does not allow what is asked: one that is marked for deletion,
// and one of another account under AWS's own key, which is there. Only its message tells them apart, which is never repeated.
const invalidRequest = "InvalidRequestException"

// ofErrorCode is nil for a code that is not known.
func ofErrorCode(doing, code, message string) error {
	if code == invalidRequest {
		if strings.Contains(message, "marked for deletion") || strings.Contains(message, "marked deleted") || strings.Contains(message, "was deleted") {
			return &secretmanager.Failure{Kind: provider.ErrMissing, Text: doing + ": " + code}
		}
		return secretmanager.Unusable(doing + ": " + code + "; look at the state of the secret and, if it is another account's, at its key, which cannot be AWS's own")
	}
	for kind, names := range codes {
		if slices.Contains(names, code) {
			return &secretmanager.Failure{Kind: kind, Text: doing + ": " + code, Throttled: slices.Contains(throttling, code)}
		}
	}
	return nil
}
