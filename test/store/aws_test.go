//go:build store

package store

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/aws"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/venv"
)

// moto is an emulator of AWS, at its own address and behind a server with TLS.
type moto struct {
	plain string
	front *httptest.Server
}

func startMoto(t *testing.T) moto {
	t.Helper()
	recipe := venv.Recipe{Name: "moto-store", Python: ">=3.11,<3.14", Before: "2026-11-20", Packages: []string{"moto[server]==5.2.5"}}
	return serveAWS(t, recipe, "/moto-api/data.json", func(host, port string) (string, []string, []string) {
		return "moto_server", []string{"-H", host, "-p", port}, os.Environ()
	})
}

// serveAWS runs an emulator of a recipe until it answers at a path, and puts a server with TLS before it.
func serveAWS(t *testing.T, recipe venv.Recipe, alive string, how func(host, port string) (program string, args, environment []string)) moto {
	t.Helper()
	dir, err := recipe.Make(t.Context(), cacheDir(t), func(line string) { t.Log(line) })
	require.NoError(t, err)
	address, err := testport.Free()
	require.NoError(t, err)
	host, port, _ := splitAddress(address)
	log, err := os.Create(filepath.Join(t.TempDir(), "emulator.log"))
	require.NoError(t, err)
	program, args, environment := how(host, port)
	command := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(dir, "bin", program), args...)
	command.Env, command.Dir = environment, t.TempDir()
	command.Stdout, command.Stderr, command.SysProcAttr = log, log, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, command.Start())
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	made := moto{plain: "http://" + address}
	ctx := testwait.Context(t)
	for tick := time.NewTicker(50 * time.Millisecond); !made.answers(ctx, alive); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			said, _ := os.ReadFile(log.Name())
			require.Fail(t, "the emulator does not answer", "%s", said)
		}
	}
	target, _ := url.Parse(made.plain)
	made.front = httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(target))
	t.Cleanup(made.front.Close)
	return made
}

func splitAddress(address string) (host, port string, err error) {
	parsed, err := url.Parse("//" + address)
	return parsed.Hostname(), parsed.Port(), err
}

func (m moto) answers(ctx context.Context, alive string) bool {
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, m.plain+alive, nil)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// call makes a call by AWS's protocol of JSON. moto looks at no signature.
func (m moto) call(t *testing.T, service, target string, body map[string]any) {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.plain, bytes.NewReader(text))
	require.NoError(t, err)
	request.Header.Set("X-Amz-Target", target)
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20261101/eu-west-1/"+service+"/aws4_request, SignedHeaders=host, Signature=x")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	said, _ := io.ReadAll(response.Body)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s %s: %s", target, body["Name"], said)
}

// trusted has the system's certificates be the front's, for the class's own client is Python's.
func (m moto) config() aws.Config {
	pool := m.front.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return aws.Config{Region: "eu-west-1", Endpoint: m.front.URL, STSEndpoint: m.front.URL, HTTP: secretmanager.NewHTTPClient(pool, 0)}
}

// theirs are the kwargs of Airflow's class, which has the credentials that moto wants.
func (m moto) theirs(kwargs map[string]any) map[string]any {
	made := map[string]any{"region_name": "eu-west-1", "endpoint_url": m.plain, "aws_access_key_id": "AKID", "aws_secret_access_key": "secret"}
	maps.Copy(made, kwargs)
	return made
}

const roleOfPods = "arn:aws:iam::123456789012:role/reader"

func ofRole(context.Context, string, string) (map[string]string, error) {
	return map[string]string{aws.RoleAnnotation: roleOfPods}, nil
}

// names are the prefixes by which secrets are found in the variants, of connections and of variables.
var awsNames = []struct{ connections, variables string }{
	{"airflow/connections/", "airflow/variables/"}, {"", ""}, {"deep/er/", "deep/variables/"}, {"c-", "v-"},
}

func TestSecretsManager(t *testing.T) {
	emulator := startMoto(t)
	connections, variables := fillSecretsManager(t, emulator)
	var questions []question
	for name, kwargs := range map[string]map[string]any{
		"as it comes":           {},
		"as it came in Airflow": {"connections_prefix": "airflow/connections", "variables_prefix": "airflow/variables", "config_prefix": "airflow/config"},
		"before version 7":      {"full_url_mode": false, "are_secret_values_urlencoded": true},
		"no prefix":             {"connections_prefix": "", "variables_prefix": ""},
		"switched off":          {"connections_prefix": nil, "variables_prefix": nil},
		"slashes":               {"connections_prefix": "deep/er//", "variables_prefix": "deep/variables/"},
		"a separator":           {"connections_prefix": "c-", "variables_prefix": "v", "sep": "-"},
		"patterns":              {"connections_lookup_pattern": "uri|ALI", "variables_lookup_pattern": "^v_[a-m]"},
		"words":                 {"extra_conn_words": map[string]any{"user": []string{"mylogin"}, "schema": []string{"dbname"}}},
		"a prefix of nothing":   {"connections_prefix": "nothing"},
	} {
		text, err := json.Marshal(kwargs)
		require.NoError(t, err)
		made, err := aws.NewStore(emulator.config(), string(text))
		require.NoError(t, err)
		served := store.New("aws-secretsmanager", made, secretmanager.Config{Annotations: ofRole})
		t.Cleanup(func() { require.NoError(t, served.Close()) })
		pod := cloudtest.NewTokens().Pod("team", "etl", cloudtest.AWSTokenAudience)
		questions = append(questions, question{Class: "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend",
			Kwargs: emulator.theirs(kwargs), Connections: connections, Variables: variables, name: name, ours: served, pod: pod})
	}
	judge(t, questions, secretsManagerDifferences)
}

func fillSecretsManager(t *testing.T, emulator moto) (connections, variables []string) {
	t.Helper()
	data, values := maps.Clone(uris), maps.Clone(texts)
	maps.Copy(data, objects)
	maps.Copy(data, aliased)
	for _, id := range special {
		data[id], values[id] = "http://"+hostOf(id), "http://"+hostOf(id) // without a prefix they are one secret
	}
	create := func(name string, value map[string]any) {
		value["Name"], value["ClientRequestToken"] = name, "12345678-1234-1234-1234-123456789012"
		emulator.call(t, "secretsmanager", "secretsmanager.CreateSecret", value)
	}
	for _, at := range awsNames {
		for id, value := range data {
			if at.connections != at.variables || values[id] == "" {
				create(at.connections+id, map[string]any{"SecretString": value})
			}
		}
		for id, value := range values {
			create(at.variables+id, map[string]any{"SecretString": value})
		}
		create(at.connections+"binary", map[string]any{"SecretBinary": []byte("bytes")})
		create(at.connections+"deleted", map[string]any{"SecretString": "http://h"})
		emulator.call(t, "secretsmanager", "secretsmanager.DeleteSecret", map[string]any{"SecretId": at.connections + "deleted"})
	}
	connections = append(append(keysOf(data), absent...), "binary", "deleted", "a!b", "a(b)", `a\b`, "a#b")
	return connections, append(append(keysOf(values), absent...), "v!")
}

var secretsManagerDifferences = and(ofConnections, ofOldConnections, map[string]difference{
	"binary":           {"missing", "refused", isThere},
	"marked":           {`connection {"conn_type":""`, "refused", noType}, // a byte order mark begins no JSON
	"upper_keys":       {`connection {"conn_type":null`, "refused", noType},
	"uri_key":          {`connection {"conn_type":null`, "refused", noType},
	"uri_key_and_more": {`connection {"conn_type":null`, "refused", noType},
})

func TestParameterStore(t *testing.T) {
	emulator := startMoto(t)
	data, values := maps.Clone(uris), maps.Clone(texts)
	maps.Copy(data, objects)
	maps.Copy(data, aliased)
	for _, id := range special {
		data[id], values[id] = "http://"+hostOf(id), "http://"+hostOf(id)
	}
	delete(data, "long") // than a parameter may be
	delete(values, "v_long")
	for _, prefix := range []string{"/airflow/connections/", "/airflow/variables/", "/", "/deep/er/"} {
		for _, table := range []map[string]string{data, values} {
			for id, value := range table {
				emulator.call(t, "ssm", "AmazonSSM.PutParameter", map[string]any{"Name": prefix + id, "Value": value, "Type": "SecureString", "Overwrite": true})
			}
		}
	}
	var questions []question
	for name, kwargs := range map[string]map[string]any{
		"as it comes":  {},
		"no prefix":    {"connections_prefix": "", "variables_prefix": ""},
		"switched off": {"connections_prefix": nil, "variables_prefix": nil},
		"slashes":      {"connections_prefix": "deep/er//", "variables_prefix": "/deep/er/"},
		"patterns":     {"connections_lookup_pattern": "uri|ALI", "variables_lookup_pattern": "^v_[a-m]"},
	} {
		ours := map[string]any{"endpoint_url": emulator.front.URL}
		maps.Copy(ours, kwargs)
		text, err := json.Marshal(ours)
		require.NoError(t, err)
		made, err := aws.NewParameterStore(emulator.config(), string(text))
		require.NoError(t, err)
		served := store.New("aws-ssm", made, secretmanager.Config{Annotations: ofRole})
		t.Cleanup(func() { require.NoError(t, served.Close()) })
		questions = append(questions, question{Class: "airflow.providers.amazon.aws.secrets.systems_manager.SystemsManagerParameterStoreBackend",
			Kwargs: emulator.theirs(kwargs), Connections: append(append(keysOf(data), absent...), "uri:1"), Variables: append(keysOf(values), absent...), name: name,
			ours: served, pod: cloudtest.NewTokens().Pod("team", "etl", cloudtest.AWSTokenAudience)})
	}
	judge(t, questions, and(ofConnections, ofOldConnections, ofJSON))
}
