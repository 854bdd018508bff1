//go:build store

package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/aws"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
	"github.com/leoflow/secrets-csi/test/venv"
)

const (
	ministackAccount = "000000000000"
	// cluster is the issuer of its tokens.
	cluster = "oidc.example.com"
)

// ministack enforces the trust of roles and the policies of identities, which moto does not.
type ministack struct{ moto }

func startMinistack(t *testing.T) ministack {
	t.Helper()
	recipe := venv.Recipe{Name: "ministack", Python: ">=3.11,<3.14", Before: "2026-11-20", Packages: []string{"ministack==1.5.33"}}
	return ministack{serveAWS(t, recipe, "/_ministack/health", func(host, port string) (string, []string, []string) {
		return "ministack", nil, append(os.Environ(), "AUTH=true", "GATEWAY_PORT="+port, "BIND_HOST="+host, "SERVICES=secretsmanager,ssm,sts,iam",
			"MINISTACK_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=root", "AWS_SECRET_ACCESS_KEY=rootsecret")
	})}
}

// send sends a request that is signed by the root of the account.
func (m ministack) send(t *testing.T, service, contentType, target, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.plain+"/", strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", contentType)
	if target != "" {
		request.Header.Set("X-Amz-Target", target)
	}
	sum := sha256.Sum256([]byte(body))
	root := awssdk.Credentials{AccessKeyID: "root", SecretAccessKey: "rootsecret"}
	require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), root, request, hex.EncodeToString(sum[:]), service, "eu-west-1", time.Now()))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	said, _ := io.ReadAll(response.Body)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s%s: %s", target, body, said)
}

func (m ministack) put(t *testing.T, service, target string, body map[string]any) {
	t.Helper()
	var text bytes.Buffer
	require.NoError(t, json.NewEncoder(&text).Encode(body))
	m.send(t, service, "application/x-amz-json-1.1", target, text.String())
}

func (m ministack) iam(t *testing.T, action string, parameters map[string]string) {
	t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for name, value := range parameters {
		form.Set(name, value)
	}
	m.send(t, "iam", "application/x-www-form-urlencoded", "", form.Encode())
}

// role makes one that a service account of the cluster may assume, and that may do these things to these ARNs.
func (m ministack) role(t *testing.T, name, account string, actions []string, resources ...string) string {
	t.Helper()
	statement := func(fields map[string]any) string {
		fields["Effect"] = "Allow"
		text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{fields}})
		require.NoError(t, err)
		return string(text)
	}
	m.iam(t, "CreateRole", map[string]string{"RoleName": name, "AssumeRolePolicyDocument": statement(map[string]any{
		"Action": "sts:AssumeRoleWithWebIdentity", "Principal": map[string]string{"Federated": "arn:aws:iam::" + ministackAccount + ":oidc-provider/" + cluster},
		"Condition": map[string]any{"StringEquals": map[string]string{
			cluster + ":sub": "system:serviceaccount:" + account, cluster + ":aud": cloudtest.AWSTokenAudience,
		}},
	})})
	m.iam(t, "PutRolePolicy", map[string]string{"RoleName": name, "PolicyName": "reads",
		"PolicyDocument": statement(map[string]any{"Action": actions, "Resource": resources})})
	return "arn:aws:iam::" + ministackAccount + ":role/" + name
}

func TestPoliciesOfAWSDecide(t *testing.T) {
	emulator := startMinistack(t)
	secretsBelow := func(prefix string) string {
		return "arn:aws:secretsmanager:eu-west-1:" + ministackAccount + ":secret:" + prefix + "*"
	}
	parametersBelow := func(prefix string) string {
		return "arn:aws:ssm:eu-west-1:" + ministackAccount + ":parameter" + prefix + "*"
	}
	for _, name := range []string{"airflow/connections/a", "airflow/connections/b", "airflow/variables/v", "other/connections/hidden", "airflow/connections/private"} {
		emulator.put(t, "secretsmanager", "secretsmanager.CreateSecret", map[string]any{"Name": name, "SecretString": "http://u:" + cloudtest.Needle + "@h"})
		emulator.put(t, "ssm", "AmazonSSM.PutParameter", map[string]any{"Name": "/" + name, "Value": "http://u:" + cloudtest.Needle + "@h", "Type": "SecureString"})
	}
	const get, batch, list = "secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue", "secretsmanager:ListSecrets"
	roles := map[string]string{
		"team/whole":  emulator.role(t, "whole", "team:whole", []string{get, batch, list}, "*"),
		"team/airs":   emulator.role(t, "airs", "team:airs", []string{get}, secretsBelow("airflow/")),
		"team/single": emulator.role(t, "single", "team:single", []string{get}, secretsBelow("airflow/connections/a")),
		"team/ssm":    emulator.role(t, "ssm", "team:ssm", []string{"ssm:GetParameter"}, parametersBelow("/airflow/connections/")),
		"team/ssms":   emulator.role(t, "ssms", "team:ssms", []string{"ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"}, "*"),
		"team/thief":  "arn:aws:iam::" + ministackAccount + ":role/whole",
		"other/whole": "arn:aws:iam::" + ministackAccount + ":role/whole",
		"team/nobody": "arn:aws:iam::" + ministackAccount + ":role/absent",
	}
	annotations := func(_ context.Context, namespace, account string) (map[string]string, error) {
		return map[string]string{aws.RoleAnnotation: roles[namespace+"/"+account]}, nil
	}
	open := func(name string, made store.Store, err error) *store.Provider {
		require.NoError(t, err)
		served := store.New(name, made, secretmanager.Config{Annotations: annotations})
		t.Cleanup(func() { require.NoError(t, served.Close()) })
		return served
	}
	config := emulator.config()
	secrets, err := aws.NewStore(config, `{}`)
	ofSecrets := open("aws-secretsmanager", secrets, err)
	parameters, err := aws.NewParameterStore(config, `{"endpoint_url": "`+emulator.front.URL+`"}`)
	ofParameters := open("aws-ssm", parameters, err)

	const all = "delivered delivered missing delivered delivered"
	for _, row := range []struct {
		account string
		served  *store.Provider
		// states are those of a, b, missing, private and v.
		states, says string
		fails        error
	}{
		{"team/whole", ofSecrets, all, "there is no airflow/connections/missing", nil},
		{"team/airs", ofSecrets, all, "there is no airflow/connections/missing", nil},
		{"team/single", ofSecrets, "delivered denied denied denied denied", "allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:REGION:ACCOUNT:secret:airflow/connections/b-?????? and on the same without -??????, without which AWS says so of a secret that does not exist, too", nil},
		{"team/thief", ofSecrets, "", "exchanging the pod's token for AWS credentials", provider.ErrDenied},
		{"other/whole", ofSecrets, "", "exchanging the pod's token for AWS credentials", provider.ErrDenied},
		{"team/nobody", ofSecrets, "", "exchanging the pod's token for AWS credentials", provider.ErrDenied},
		{"team/ssms", ofParameters, all, "there is no /airflow/connections/missing", nil},
		{"team/ssm", ofParameters, "delivered delivered missing delivered denied", "allow ssm:GetParameter on arn:aws:ssm:REGION:ACCOUNT:parameter/airflow/variables/v", nil},
		{"team/airs", ofParameters, "denied denied denied denied denied", "allow ssm:GetParameter", nil},
	} {
		namespace, account, _ := strings.Cut(row.account, "/")
		pod := subject(namespace, account)
		entries, err := row.served.Fetch(t.Context(), pod, providertest.Names([]string{"a", "b", "missing", "private"}, []string{"v"}))
		if row.fails != nil {
			require.ErrorIs(t, err, row.fails, row.account)
			assert.ErrorContains(t, err, row.says)
			continue
		}
		require.NoError(t, err, row.account)
		var states, says []string
		for _, one := range entries {
			states = append(states, string(one.State))
			for _, notice := range one.Notices {
				says = append(says, notice.Message)
			}
		}
		assert.Equal(t, row.states, strings.Join(states, " "), row.account)
		assert.Contains(t, strings.Join(says, "\n"), row.says, row.account)
		assert.NotContains(t, fmt.Sprint(says), cloudtest.Needle)
	}

	var questions []question
	for account, asked := range map[string]struct {
		class  string
		served *store.Provider
	}{
		"whole": {"secrets_manager.SecretsManagerBackend", ofSecrets}, "airs": {"secrets_manager.SecretsManagerBackend", ofSecrets},
		"single": {"secrets_manager.SecretsManagerBackend", ofSecrets},
		"ssms":   {"systems_manager.SystemsManagerParameterStoreBackend", ofParameters}, "ssm": {"systems_manager.SystemsManagerParameterStoreBackend", ofParameters},
	} {
		questions = append(questions, question{
			Class: "airflow.providers.amazon.aws.secrets." + asked.class, Kwargs: emulator.assume(t, roles["team/"+account], subject("team", account)),
			Connections: []string{"a", "b", "missing", "private"}, Variables: []string{"v"}, name: account, ofRights: true, ours: asked.served, pod: subject("team", account),
		})
	}
	judgeBy(t, ages, questions, nil)

	_, err = ofSecrets.Fetch(t.Context(), subject("team", "airs"), providertest.Everything())
	require.ErrorIs(t, err, provider.ErrDenied)
	require.ErrorContains(t, err, `"*" takes secretsmanager:ListSecrets`)
	entries, err := ofSecrets.Fetch(t.Context(), subject("team", "whole"), providertest.Everything())
	require.NoError(t, err)
	assert.Len(t, entries, 4, "and none that is not below the prefixes")
	_, err = ofParameters.Fetch(t.Context(), subject("team", "ssm"), providertest.Everything())
	require.ErrorContains(t, err, `"*" takes ssm:GetParametersByPath on /airflow/connections/`)
}

// assume exchanges a pod's token for credentials, and returns kwargs with them for Airflow's classes.
func (m ministack) assume(t *testing.T, role string, pod provider.Identity) map[string]any {
	t.Helper()
	form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {role}, "RoleSessionName": {"airflow"},
		"WebIdentityToken": {pod.CloudTokens[cloudtest.AWSTokenAudience].Reveal()}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.plain+"/", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	var made struct {
		AccessKeyID     string `xml:"AssumeRoleWithWebIdentityResult>Credentials>AccessKeyId"`
		SecretAccessKey string `xml:"AssumeRoleWithWebIdentityResult>Credentials>SecretAccessKey"`
		SessionToken    string `xml:"AssumeRoleWithWebIdentityResult>Credentials>SessionToken"`
	}
	require.NoError(t, xml.Unmarshal(said, &made), "%s", said)
	require.NotEmpty(t, made.SessionToken, "%s", said)
	return map[string]any{"region_name": "eu-west-1", "endpoint_url": m.plain,
		"aws_access_key_id": made.AccessKeyID, "aws_secret_access_key": made.SecretAccessKey, "aws_session_token": made.SessionToken}
}

// subject is a pod with a token of which ministack reads the claims, and no signature.
func subject(namespace, account string) provider.Identity {
	claims := fmt.Sprintf(`{"iss":"https://%s","sub":"system:serviceaccount:%s:%s","aud":%q,"exp":%d}`, cluster, namespace, account, cloudtest.AWSTokenAudience, time.Now().Add(time.Hour).Unix())
	token := "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2lnbmF0dXJl"
	return provider.Identity{Namespace: namespace, ServiceAccount: account, PodUID: namespace + account,
		CloudTokens: map[string]secret.Text{cloudtest.AWSTokenAudience: secret.New(token)}}
}
