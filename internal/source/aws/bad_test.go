package aws_test

import (
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

// What AWS says by InvalidRequestException.
const (
	markedForDeletion = "You can't perform this operation on the secret because it was marked for deletion."
	keyOfAnother      = "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key."
)

func TestWhatSecretsManagerAnswers(t *testing.T) {
	served, server := startStore(t, "")
	for code, row := range map[string]struct {
		message string
		status  int
		state   string // of the entry; empty where none is told of
		kind    error
		says    string
	}{
		"ResourceNotFoundException": {"", 400, "missing", nil, "there is no airflow/connections/x, or it is marked for deletion"}, // in this region, or without a current version
		"InvalidRequestException":   {markedForDeletion, 400, "missing", nil, "there is no airflow/connections/x, or it is marked for deletion"},
		"InvalidRequestException-documented": {"You tried to perform the operation on a secret that's currently marked deleted.", 400,
			"missing", nil, "or it is marked for deletion"},
		"InvalidRequestException-of-another-account": {keyOfAnother, 400, "invalid", nil, "InvalidRequestException; look at the state of the secret"},
		"ForbiddenException":                         {"", 403, "", provider.ErrUnavailable, "HTTP 403, and not from the store"}, // of a gateway of AWS's
		"MissingAuthenticationTokenException":        {"", 403, "", provider.ErrUnavailable, "HTTP 403, and not from the store"}, // of a proxy that drops headers
		"UnknownOperationException":                  {"", 404, "invalid", nil, "UnknownOperationException"},                     // of another service
		"SomethingNewException":                      {"", 400, "invalid", nil, "HTTP 400"},
		"AccessDeniedException":                      {"", 400, "denied", nil, "of one that is encrypted by a key of yours, allow kms:Decrypt"},
		"DecryptionFailure":                          {"", 400, "invalid", nil, "DecryptionFailure"},
		"InvalidParameterException":                  {"", 400, "invalid", nil, "InvalidParameterException"},
		"RegionDisabledException":                    {"", 400, "invalid", nil, "RegionDisabledException"},
		"InternalServiceError":                       {"", 400, "", provider.ErrUnavailable, "InternalServiceError"},
		"ThrottlingException":                        {"", 400, "", provider.ErrUnavailable, "ThrottlingException"},
		"ExpiredTokenException":                      {"", 400, "", provider.ErrUnauthenticated, "ExpiredTokenException"},
		"UnrecognizedClientException":                {"", 400, "", provider.ErrUnauthenticated, "UnrecognizedClientException"},
	} {
		t.Run(code, func(t *testing.T) {
			server.Break(cloudtest.At(cloudtest.Access, cloudtest.Fault{Status: row.status, Code: strings.Split(code, "-")[0], Body: row.message}))
			cloudtest.Tells(t, served, podOf(server, code), row.state, row.kind, row.says)
		})
	}
}

// A batch tells of each secret what a call of its own would.
func TestWhatABatchAnswers(t *testing.T) {
	served, server := startStore(t, "")
	server.Hold(func(_, name, _ string) (string, error) {
		switch path.Base(name) {
		case "marked":
			return "", cloudtest.Fault{Status: 400, Code: "InvalidRequestException", Body: markedForDeletion}
		case "another":
			return "", cloudtest.Fault{Status: 400, Code: "InvalidRequestException", Body: keyOfAnother}
		}
		return "http://h", nil
	})
	entries, err := served.Fetch(t.Context(), podOf(server, "a"), providertest.Names([]string{"x", "marked", "another"}, nil))
	require.NoError(t, err)
	for i, state := range []entry.State{entry.Delivered, entry.Missing, entry.Invalid} {
		assert.Equal(t, state, entries[i].State, entries[i].Reason())
		assert.NotContains(t, entries[i].Reason(), "n33dle")
	}
}

// Not every region, partition and emulator has batches.
func TestAServiceWithoutBatchesIsReadSingly(t *testing.T) {
	served, server := startStore(t, "")
	server.Hold(func(_, _, _ string) (string, error) { return "http://h", nil })
	for _, status := range []int{400, 404} {
		server.Break(cloudtest.At(cloudtest.Batch, cloudtest.Fault{Status: status, Code: "UnknownOperationException"}))
		entries, err := served.Fetch(t.Context(), podOf(server, strconv.Itoa(status)), providertest.Names([]string{"x", "y"}, nil))
		require.NoError(t, err)
		assert.Equal(t, []entry.State{entry.Delivered, entry.Delivered}, []entry.State{entries[0].State, entries[1].State})
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
