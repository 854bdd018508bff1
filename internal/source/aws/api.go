package aws

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
)

const batchOfSecrets = "BatchGetSecretValue"

// service is one of AWS's that speak its protocol of JSON.
type service struct {
	// name is that of its host, and by which calls are signed; target is before an operation's.
	name, target string
}

var (
	secretsManager = service{"secretsmanager", "secretsmanager."}
	systemsManager = service{"ssm", "AmazonSSM."}
)

// api makes calls with one pod's credentials. The SDK has clients of both services, whose tables of
// schemas and endpoints take 2 MiB of every driver's memory from its start on; six calls need none.
type api struct {
	service
	http        *http.Client
	credentials aws.CredentialsProvider
	signer      *v4.Signer
	region, url string
}

// of is an api of a service for one pod.
func (i *identities) of(at service, subject secretmanager.Subject) (*api, error) {
	credentials, region, err := i.known(subject)
	if err != nil {
		return nil, err
	}
	url := i.config.Endpoint
	if url == "" {
		url = "https://" + at.name + "." + region + "." + domainOf(region)
	}
	return &api{at, i.config.HTTP, credentials, v4.NewSigner(), region, strings.TrimRight(url, "/") + "/"}, nil
}

// domains are those of AWS's partitions that the public does not use, by how their regions begin.
var domains = []struct{ region, domain string }{
	{"cn-", "amazonaws.com.cn"}, {"eusc-", "amazonaws.eu"}, {"us-iso-", "c2s.ic.gov"}, {"us-isob-", "sc2s.sgov.gov"},
	{"us-isof-", "csp.hci.ic.gov"}, {"eu-isoe-", "cloud.adc-e.uk"},
}

func domainOf(region string) string {
	for _, one := range domains {
		if strings.HasPrefix(region, one.region) {
			return one.domain
		}
	}
	return "amazonaws.com"
}

// call makes one call, and reads the answer into what is given.
func (a *api) call(ctx context.Context, doing, operation string, input, into any) error {
	body, err := json.Marshal(input)
	if err != nil {
		return secretmanager.Unusable(doing + ": its name is no text")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, bytes.NewReader(body))
	if err != nil {
		return secretmanager.Unusable(doing + ": the endpoint makes no URL; correct it")
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", a.target+operation)
	credentials, err := a.credentials.Retrieve(ctx)
	if err != nil {
		return failure(exchangingToken, err)
	}
	digest := sha256.Sum256(body)
	if err := a.signer.SignHTTP(ctx, credentials, request, hex.EncodeToString(digest[:]), a.name, a.region, time.Now()); err != nil {
		return secretmanager.Unreachable(doing)
	}
	answer, err := secretmanager.Ask(a.http, doing, request)
	switch {
	case err != nil:
		return err
	case answer.Status != http.StatusOK:
		return refusal(doing, answer)
	case json.Unmarshal(answer.Body, into) != nil:
		return secretmanager.Unreachable(doing)
	}
	return nil
}

// page is a part of an answer, of which each operation has some of the fields.
type page struct {
	SecretList, Parameters []struct{ Name *string }
	SecretValues           []secretValue
	Errors                 []struct{ SecretId, ErrorCode, Message *string }
	NextToken              *string
}

// isList is also true of a batch, of which what is not told is read alone.
func (p page) isList(operation string) bool {
	return p.SecretList != nil || p.Parameters != nil || operation == batchOfSecrets
}

// pages are those of an answer, up to the first error.
func (a *api) pages(ctx context.Context, doing, operation string, input map[string]any) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		var pages secretmanager.Pages
		for {
			var one page
			err := a.call(ctx, doing, operation, input, &one)
			next := aws.ToString(one.NextToken)
			if err == nil {
				err = pages.Turn(doing, one.isList(operation), next)
			}
			if !yield(one, err) || err != nil || next == "" {
				return
			}
			input["NextToken"] = next
		}
	}
}

// names are those of all pages of a listing.
func (a *api) names(ctx context.Context, doing, operation string, input map[string]any) (names []string, err error) {
	for page, err := range a.pages(ctx, doing, operation, input) {
		if err != nil {
			return nil, err
		}
		for _, one := range append(page.SecretList, page.Parameters...) {
			if one.Name != nil {
				names = append(names, *one.Name)
			}
		}
	}
	return names, nil
}

// refusal is what an answer means that is an error, by its code. Its message is never repeated: it quotes
// what was sent. A code that neither service has, as a gateway's, denies nothing and misses nothing.
func refusal(doing string, answer secretmanager.Answer) error {
	var told struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"` // or "Message"
	}
	_ = json.Unmarshal(answer.Body, &told) // or there is nothing of it
	code := cmp.Or(answer.Header.Get("X-Amzn-Errortype"), told.Type, told.Code)
	code, _, _ = strings.Cut(code[strings.LastIndex(code, "#")+1:], ":") // "namespace#Code:http://more"
	if known := ofErrorCode(doing, code, told.Message); known != nil {
		return known
	}
	if code == "" || answer.Status == http.StatusForbidden || answer.Status == http.StatusNotFound {
		return secretmanager.NotTheStores(doing, answer.Status, answer.Header)
	}
	return secretmanager.AccessFailed(doing, answer.Status, answer.Header)
}
