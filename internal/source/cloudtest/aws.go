package cloudtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	// AWSTokenAudience is that of pods' tokens for STS.
	AWSTokenAudience = "sts.amazonaws.com"
	// PodIdentityAudience is that of their tokens for EKS Pod Identity.
	PodIdentityAudience = "pods.eks.amazonaws.com"
)

// AWS is STS and Secrets Manager at one URL, told apart by their protocols. A
// principal is "NAMESPACE/SERVICEACCOUNT as ROLE".
type AWS struct {
	*Server
	// MayAssume says who may assume which role; nil lets everybody.
	MayAssume func(subject, role string) bool
	// Associations are the roles of EKS Pod Identity by "NAMESPACE/SERVICEACCOUNT".
	Associations map[string]string
}

// StartAWS serves until the test ends.
func StartAWS(t testing.TB, tokens *Tokens) *AWS {
	t.Helper()
	a := &AWS{}
	a.Server = start(t, tokens, func(*Server) http.Handler { return http.HandlerFunc(a.serve) })
	return a
}

func (a *AWS) serve(w http.ResponseWriter, r *http.Request) {
	switch r.Header.Get("X-Amz-Target") {
	case "secretsmanager.GetSecretValue":
		a.getSecretValue(w, r)
	case "secretsmanager.BatchGetSecretValue":
		a.batchGetSecretValue(w, r)
	case "secretsmanager.ListSecrets":
		a.listSecrets(w, r)
	case "AmazonSSM.GetParameter":
		a.getParameter(w, r)
	case "AmazonSSM.GetParameters":
		a.getParameters(w, r)
	case "AmazonSSM.GetParametersByPath":
		a.getParametersByPath(w, r)
	default:
		a.assumeRole(w, r)
	}
}

func (a *AWS) getParameter(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Name string }
	principal, admitted := a.admit(w, r, Access, &asked)
	if !admitted {
		return
	}
	value, err := a.read(principal, asked.Name, "")
	var fault Fault
	switch {
	case errors.As(err, &fault):
		spoilJSON(w, r, fault)
	case errors.Is(err, provider.ErrDenied):
		jsonError(w, "AccessDeniedException")
	case err != nil:
		jsonError(w, "ParameterNotFound")
	default:
		answer(w, map[string]any{"Parameter": map[string]string{"Name": asked.Name, "Value": value}})
	}
}

// getParameters denies all where one is denied.
func (a *AWS) getParameters(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Names []string }
	principal, admitted := a.admit(w, r, Batch, &asked)
	if !admitted {
		return
	}
	if len(asked.Names) > 10 {
		jsonError(w, "ValidationException")
		return
	}
	found, invalid := []any{}, []string{}
	for _, name := range asked.Names {
		value, err := a.read(principal, name, "")
		switch {
		case errors.Is(err, provider.ErrDenied):
			jsonError(w, "AccessDeniedException")
			return
		case err != nil:
			invalid = append(invalid, name)
		default:
			found = append(found, map[string]string{"Name": name, "Value": value})
		}
	}
	answer(w, map[string]any{"Parameters": found, "InvalidParameters": invalid})
}

func (a *AWS) getParametersByPath(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Path string }
	if _, admitted := a.admit(w, r, List, &asked); !admitted {
		return
	}
	found := []any{}
	for _, name := range a.Secrets() {
		if strings.HasPrefix(name, asked.Path) {
			found = append(found, map[string]string{"Name": name})
		}
	}
	answer(w, map[string]any{"Parameters": found})
}

// StartAgent serves what the agent of EKS Pod Identity does on a node, until the test ends, and returns
// its URL.
func (a *AWS) StartAgent(t testing.TB) string {
	t.Helper()
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := a.begin(Agent); fault != nil {
			spoil(w, r, *fault)
			return
		}
		subject, good := a.Tokens.subject(r.Header.Get("Authorization"), PodIdentityAudience)
		role, associated := a.Associations[subject]
		switch {
		case r.Method != http.MethodGet || r.URL.Path != "/v1/credentials":
			spoil(w, r, Fault{Status: http.StatusNotFound})
		case !good:
			spoil(w, r, Fault{Status: http.StatusBadRequest, Body: `{"code":"InvalidTokenException","message":"` + Needle + `"}`})
		case !associated:
			spoil(w, r, Fault{Status: http.StatusNotFound, Body: `{"code":"ResourceNotFoundException","message":"` + Needle + `"}`})
		default:
			answer(w, map[string]any{
				"AccessKeyId": "AKID", "SecretAccessKey": "n33dle-secret-key", "Token": a.open(subject + " as " + role), "AccountId": "123456789012",
				"Expiration": time.Now().Add(a.Lasting).UTC().Format(time.RFC3339),
			})
		}
	}))
	t.Cleanup(agent.Close)
	return agent.URL
}

func (a *AWS) assumeRole(w http.ResponseWriter, r *http.Request) {
	if fault := a.begin(Exchange); fault != nil {
		if fault.Code != "" {
			fault.Body = queryError(fault.Code)
		}
		spoil(w, r, *fault)
		return
	}
	subject, good := a.Tokens.subject(r.FormValue("WebIdentityToken"), AWSTokenAudience)
	role := r.FormValue("RoleArn")
	switch {
	case r.FormValue("Action") != "AssumeRoleWithWebIdentity", r.Header.Get("Authorization") != "":
		spoil(w, r, Fault{Status: http.StatusBadRequest, Body: queryError("InvalidAction")})
	case !good:
		spoil(w, r, Fault{Status: http.StatusBadRequest, Body: queryError("ExpiredTokenException")})
	case a.MayAssume != nil && !a.MayAssume(subject, role):
		spoil(w, r, Fault{Status: http.StatusForbidden, Body: queryError("AccessDenied")})
	default:
		_, _ = fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>AKID</AccessKeyId><SecretAccessKey>n33dle-secret-key</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials>
<AssumedRoleUser><Arn>%s</Arn><AssumedRoleId>A:%s</AssumedRoleId></AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
			a.open(subject+" as "+role), time.Now().Add(a.Lasting).UTC().Format(time.RFC3339), role, r.FormValue("RoleSessionName"))
	}
}

func queryError(code string) string {
	return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>` + code +
		`</Code><Message>` + Needle + `</Message></Error><RequestId>r</RequestId></ErrorResponse>`
}

var signed = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=AKID/[0-9]{8}/[a-z0-9-]+/(secretsmanager|ssm)/aws4_request, `)

// admit decodes what a caller that is known asks for.
func (a *AWS) admit(w http.ResponseWriter, r *http.Request, step Step, asked any) (principal string, admitted bool) {
	if fault := a.begin(step); fault != nil {
		spoilJSON(w, r, *fault)
		return "", false
	}
	principal, known := a.principal(r.Header.Get("X-Amz-Security-Token"))
	if !known || !signed.MatchString(r.Header.Get("Authorization")) {
		jsonError(w, "UnrecognizedClientException")
		return "", false
	}
	if json.NewDecoder(r.Body).Decode(asked) != nil {
		jsonError(w, "SerializationException")
		return "", false
	}
	return principal, true
}

// codeOfStatus is AWS's code where a fault names none: there is one in every answer of AWS's.
var codeOfStatus = map[int]string{
	http.StatusBadRequest: "ValidationException", http.StatusUnauthorized: "UnrecognizedClientException", http.StatusForbidden: "AccessDeniedException",
	http.StatusNotFound: "ResourceNotFoundException", http.StatusTooManyRequests: "ThrottlingException",
	http.StatusInternalServerError: "InternalServiceError", http.StatusServiceUnavailable: "ServiceUnavailable",
}

func spoilJSON(w http.ResponseWriter, r *http.Request, fault Fault) {
	if fault.Code == "" && fault.Body == "" {
		fault.Code = codeOfStatus[fault.Status]
	}
	if fault.Code != "" { // and a Body is its message
		fault.Body = `{"__type":"` + fault.Code + `","message":"` + Needle + fault.Body + `"}`
	}
	spoil(w, r, fault)
}

func (a *AWS) batchGetSecretValue(w http.ResponseWriter, r *http.Request) {
	var asked struct{ SecretIdList []string }
	principal, admitted := a.admit(w, r, Batch, &asked)
	if !admitted {
		return
	}
	if len(asked.SecretIdList) > 20 {
		jsonError(w, "ValidationException")
		return
	}
	values, refused := []any{}, []any{}
	for _, name := range asked.SecretIdList {
		value, err := a.read(principal, name, "")
		var fault Fault
		switch {
		case errors.As(err, &fault):
			refused = append(refused, map[string]string{"SecretId": name, "ErrorCode": fault.Code, "Message": Needle + fault.Body})
		case errors.Is(err, provider.ErrDenied):
			refused = append(refused, map[string]string{"SecretId": name, "ErrorCode": "AccessDeniedException", "Message": Needle})
		case err != nil:
			refused = append(refused, map[string]string{"SecretId": name, "ErrorCode": "ResourceNotFoundException", "Message": Needle})
		case strings.HasPrefix(value, "binary:"):
			values = append(values, map[string]any{"Name": name, "SecretBinary": []byte(value)})
		default:
			values = append(values, map[string]any{"Name": name, "SecretString": value})
		}
	}
	answer(w, map[string]any{"SecretValues": values, "Errors": refused})
}

// listSecrets tells of two at a time.
func (a *AWS) listSecrets(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		NextToken string
		Filters   []struct {
			Key    string
			Values []string
		}
	}
	if _, admitted := a.admit(w, r, List, &asked); !admitted {
		return
	}
	list, next := []any{}, ""
	for _, name := range a.Secrets() {
		if len(asked.Filters) > 0 && !strings.HasPrefix(name, asked.Filters[0].Values[0]) || name <= asked.NextToken {
			continue
		}
		if len(list) == 2 {
			next = list[1].(map[string]string)["Name"]
			break
		}
		list = append(list, map[string]string{"Name": name})
	}
	told := map[string]any{"SecretList": list}
	if next != "" {
		told["NextToken"] = next
	}
	answer(w, told)
}

func (a *AWS) getSecretValue(w http.ResponseWriter, r *http.Request) {
	var asked struct{ SecretId, VersionId, VersionStage string }
	principal, admitted := a.admit(w, r, Access, &asked)
	if !admitted {
		return
	}
	value, err := a.read(principal, asked.SecretId, asked.VersionId+asked.VersionStage)
	var fault Fault
	switch {
	case errors.As(err, &fault):
		spoilJSON(w, r, fault)
	case errors.Is(err, provider.ErrDenied):
		jsonError(w, "AccessDeniedException")
	case errors.Is(err, provider.ErrMissing):
		jsonError(w, "ResourceNotFoundException")
	case value == "": // no secret is empty
		answer(w, map[string]any{})
	case strings.HasPrefix(value, "binary:"):
		answer(w, map[string]any{"Name": asked.SecretId, "SecretBinary": []byte(value)})
	default:
		answer(w, map[string]any{"Name": asked.SecretId, "SecretString": value})
	}
}

func jsonError(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": Needle})
}
