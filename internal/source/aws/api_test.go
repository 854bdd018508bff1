package aws

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// The SDK knows where a region's services are.
func TestEveryPartitionHasItsDomain(t *testing.T) {
	for _, region := range []string{
		"eu-west-1", "us-east-1", "ap-southeast-7", "mx-central-1", "us-gov-west-1", "cn-north-1", "cn-northwest-1",
		"us-iso-east-1", "us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1", "eusc-de-east-1",
	} {
		theirs, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), sts.EndpointParameters{Region: &region})
		require.NoError(t, err)
		assert.Equal(t, theirs.URI.Host, "sts."+region+"."+domainOf(region))
	}
}

func TestCodesAreFoundWhereverAWSWritesThem(t *testing.T) {
	for name, row := range map[string]struct {
		status             int
		header, body, says string
		kind               error
	}{
		"with a namespace":     {400, "", `{"__type":"com.amazonaws.secretsmanager#ResourceNotFoundException","Message":"n33dle"}`, "ResourceNotFoundException", provider.ErrMissing},
		"without":              {400, "", `{"__type":"AccessDeniedException","message":"n33dle"}`, "AccessDeniedException", provider.ErrDenied},
		"in a header":          {400, "ThrottlingException:http://n33dle", `n33dle`, "ThrottlingException", provider.ErrUnavailable},
		"as a code":            {400, "", `{"code":"ExpiredTokenException"}`, "ExpiredTokenException", provider.ErrUnauthenticated},
		"an unknown one":       {400, "", `{"__type":"n33dle"}`, "HTTP 400", nil},
		"none":                 {503, "", `<html>n33dle`, "HTTP 503", provider.ErrUnavailable},
		"another status":       {204, "", ``, "HTTP 204", provider.ErrUnavailable},
		"a type that is none":  {500, "", `{"__type":5}`, "HTTP 500", provider.ErrUnavailable},
		"throttled by a proxy": {429, "", ``, "HTTP 429", provider.ErrUnavailable},
	} {
		answer := secretmanager.Answer{Status: row.status, Header: http.Header{}, Body: []byte(row.body)}
		if row.header != "" {
			answer.Header.Set("X-Amzn-ErrorType", row.header)
		}
		err := refusal(reading, answer)
		var failure *secretmanager.Failure
		require.ErrorAs(t, err, &failure, name)
		assert.Equal(t, row.kind, failure.Kind, name)
		assert.Contains(t, err.Error(), row.says, name)
		assert.NotContains(t, err.Error(), "n33dle", name)
		assert.Equal(t, strings.Contains(name, "header") || strings.Contains(name, "throttled"), failure.Throttled, name)
	}
}
