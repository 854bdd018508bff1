package cloudtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// AWSTokenAudience is that of pods' tokens for STS.
const AWSTokenAudience = "sts.amazonaws.com"

// AWS is STS and Secrets Manager at one URL, told apart by their protocols. A
// principal is "NAMESPACE/SERVICEACCOUNT as ROLE".
type AWS struct {
	*Server
	// MayAssume says who may assume which role; nil lets everybody.
	MayAssume func(subject, role string) bool
}

// StartAWS serves until the test ends.
func StartAWS(t testing.TB, tokens *Tokens) *AWS {
	t.Helper()
	a := &AWS{}
	a.Server = start(t, tokens, func(*Server) http.Handler { return http.HandlerFunc(a.serve) })
	return a
}

func (a *AWS) serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Amz-Target") == "secretsmanager.GetSecretValue" {
		a.getSecretValue(w, r)
		return
	}
	a.assumeRole(w, r)
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
			a.open(subject+" as "+role), time.Now().Add(time.Hour).UTC().Format(time.RFC3339), role, r.FormValue("RoleSessionName"))
	}
}

func queryError(code string) string {
	return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>` + code +
		`</Code><Message>` + Needle + `</Message></Error><RequestId>r</RequestId></ErrorResponse>`
}

var signed = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=AKID/[0-9]{8}/[a-z0-9-]+/secretsmanager/aws4_request, `)

func (a *AWS) getSecretValue(w http.ResponseWriter, r *http.Request) {
	if fault := a.begin(Access); fault != nil {
		if fault.Code != "" {
			fault.Body = `{"__type":"` + fault.Code + `","message":"` + Needle + `"}`
		}
		spoil(w, r, *fault)
		return
	}
	principal, known := a.principal(r.Header.Get("X-Amz-Security-Token"))
	if !known || !signed.MatchString(r.Header.Get("Authorization")) {
		jsonError(w, "UnrecognizedClientException")
		return
	}
	var asked struct{ SecretId, VersionId, VersionStage string }
	if json.NewDecoder(r.Body).Decode(&asked) != nil {
		jsonError(w, "SerializationException")
		return
	}
	value, err := a.read(principal, asked.SecretId, asked.VersionId+asked.VersionStage)
	switch {
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
