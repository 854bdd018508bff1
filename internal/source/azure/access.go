package azure

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	exchanging = "exchanging the pod's token for Azure's"
	reading    = "reading the secret from Key Vault"
)

// session is one pod's at one vault; its credential exchanges the token once and
// renews by itself.
type session struct{ api *azsecrets.Client }

// Access implements secretmanager.Session.
func (s *session) Access(ctx context.Context, ref entry.Reference) (secret.Text, error) {
	answer, err := s.api.GetSecret(ctx, ref.Name, ref.Version, nil)
	if err != nil {
		return secret.Text{}, failure(err)
	}
	if answer.Value == nil {
		return secret.Text{}, secretmanager.Unusable("the secret is empty; store the client secret in it")
	}
	return secret.New(*answer.Value), nil
}

// inTenant exchanges the token in the pod's own tenant. A vault says which tenant it
// wants tokens of; one of another tenant takes none from this one.
type inTenant struct {
	azcore.TokenCredential
	tenant    string
	presented secretmanager.Presented
}

// GetToken implements azcore.TokenCredential.
func (i inTenant) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if options.TenantID != "" && !strings.EqualFold(options.TenantID, i.tenant) {
		return azcore.AccessToken{}, secretmanager.Unusable("the vault is in another tenant than the pod's identity; give the id of the vault's tenant in the annotation " +
			TenantAnnotation + " of its service account")
	}
	options.TenantID = ""
	token, err := i.TokenCredential.GetToken(ctx, options)
	var refused *azidentity.AuthenticationFailedError
	if errors.As(err, &refused) {
		return azcore.AccessToken{}, i.presented.Refused(failure(err))
	}
	return token, err
}

// innerCode is why Key Vault forbids something: its own code is "Forbidden" whatever the reason.
func innerCode(response *http.Response) string {
	if response == nil {
		return ""
	}
	var said struct {
		Error struct {
			InnerError struct{ Code string }
		}
	}
	body, err := runtime.Payload(response)
	if err != nil || json.Unmarshal(body, &said) != nil {
		return ""
	}
	return said.Error.InnerError.Code
}

func failure(err error) error {
	var already *secretmanager.Failure
	if errors.As(err, &already) {
		return already
	}
	var exchange *azidentity.AuthenticationFailedError
	if errors.As(err, &exchange) {
		if exchange.RawResponse == nil {
			return secretmanager.Unreachable(exchanging)
		}
		return secretmanager.ExchangeFailed(exchanging, exchange.RawResponse.StatusCode, exchange.RawResponse.Header)
	}
	var answer *azcore.ResponseError
	if errors.As(err, &answer) {
		return accessFailure(answer)
	}
	return secretmanager.Unreachable(reading)
}

// ownCodes are those by which Key Vault itself denies and does not find. Another is of what else Azure puts before a vault.
var ownCodes = map[int]string{http.StatusForbidden: "Forbidden", http.StatusNotFound: "SecretNotFound"}

// accessFailure tells a secret that is disabled, and might as well not exist, and a vault that does not
// let the node in from one that the pod may not read; all are 403.
func accessFailure(answer *azcore.ResponseError) error {
	switch innerCode(answer.RawResponse) {
	case "SecretDisabled":
		return &secretmanager.Failure{Kind: provider.ErrMissing, Text: reading + ": it is disabled"}
	case "ForbiddenByFirewall", "ForbiddenByConnection":
		return &secretmanager.Failure{Kind: provider.ErrUnavailable, Whole: true,
			Text: reading + ": the vault's firewall does not admit this node; have it admitted, or give the node a private endpoint"}
	}
	var header http.Header
	if answer.RawResponse != nil {
		header = answer.RawResponse.Header
	}
	if own, only := ownCodes[answer.StatusCode]; answer.ErrorCode == "" || only && answer.ErrorCode != own {
		return secretmanager.NotTheStores(reading, answer.StatusCode, header)
	}
	return secretmanager.AccessFailed(reading, answer.StatusCode, header)
}
