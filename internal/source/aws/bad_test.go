package aws_test

import (
	"strconv"
	"testing"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

func TestWhatSecretsManagerAnswers(t *testing.T) {
	served, server := startStore(t, "")
	for code, row := range map[string]struct {
		state string // of the entry; empty where none is told of
		kind  error
		says  string
	}{
		"ResourceNotFoundException":   {"missing", nil, "there is no airflow/connections/x, or it is marked for deletion"}, // in this region, or without a current version
		"InvalidRequestException":     {"missing", nil, "there is no airflow/connections/x, or it is marked for deletion"},
		"AccessDeniedException":       {"denied", nil, "of one that is encrypted by a key of yours, allow kms:Decrypt"},
		"DecryptionFailure":           {"invalid", nil, "DecryptionFailure"},
		"InvalidParameterException":   {"invalid", nil, "InvalidParameterException"},
		"RegionDisabledException":     {"invalid", nil, "RegionDisabledException"},
		"InternalServiceError":        {"", provider.ErrUnavailable, "InternalServiceError"},
		"ThrottlingException":         {"", provider.ErrUnavailable, "ThrottlingException"},
		"ExpiredTokenException":       {"", provider.ErrUnauthenticated, "ExpiredTokenException"},
		"UnrecognizedClientException": {"", provider.ErrUnauthenticated, "UnrecognizedClientException"},
	} {
		t.Run(code, func(t *testing.T) {
			server.Break(cloudtest.At(cloudtest.Access, cloudtest.Fault{Status: 400, Code: code}))
			cloudtest.Tells(t, served, podOf(server, code), row.state, row.kind, row.says)
		})
	}
}

// A gateway or a proxy before the store denies and does not find, too, and takes no file from a pod by that.
func TestWhatIsNotOfSecretsManager(t *testing.T) {
	served, server := startStore(t, "")
	for status, body := range map[int]string{400: "<html>n33dle", 403: `{"message": "n33dle"}`, 404: "<html>n33dle"} {
		server.Break(cloudtest.At(cloudtest.Access, cloudtest.Fault{Status: status, Body: body}))
		cloudtest.Tells(t, served, podOf(server, strconv.Itoa(status)), "", provider.ErrUnavailable, "HTTP "+strconv.Itoa(status)+", and not from the store")
	}
}
