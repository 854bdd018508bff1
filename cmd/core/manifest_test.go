package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/leoflow/secrets-csi/internal/cli"
)

func executed(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var text, said bytes.Buffer
	code = program().Execute(t.Context(), args, cli.Streams{Out: &text, Err: &said})
	return code, text.String(), said.String()
}

// secretsOf reads manifests as kubectl does, and holds them against what the API server takes.
func secretsOf(t *testing.T, manifests string) (secrets []corev1.Secret) {
	t.Helper()
	for each := range strings.SplitSeq(strings.TrimPrefix(manifests, "---\n"), "---\n") {
		var one corev1.Secret
		require.NoError(t, yaml.UnmarshalStrict([]byte(each), &one), each)
		assert.Empty(t, validation.IsDNS1123Subdomain(one.Name), each)
		for key := range one.Data {
			assert.Empty(t, validation.IsConfigMapKey(key), each)
		}
		for _, value := range one.Labels {
			assert.Empty(t, validation.IsValidLabelValue(value), each)
		}
		secrets = append(secrets, one)
	}
	return secrets
}

func written(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "variables.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestASecretHasAnyNameThatKubernetesTakes(t *testing.T) {
	variables := written(t, `{plain: "one\ntwo: \"three\"\n", "a b": x}`)
	for _, name := range []string{"report", "123", "1e3", "0x1", "true", "null", "n", "a.b-c", strings.Repeat("a", 253)} {
		code, out, errs := executed(t, "render", "--variables", variables, "--format=secret", "--secret-name", name, "--secret-namespace=12")
		assert.Equal(t, cli.Failure, code, "the key with a space is nowhere")
		assert.Contains(t, errs, `"a b"`)
		secrets := secretsOf(t, out)
		require.Len(t, secrets, 1)
		assert.Equal(t, name, secrets[0].Name)
		assert.Equal(t, "12", secrets[0].Namespace)
		assert.Equal(t, "one\ntwo: \"three\"\n", string(secrets[0].Data["AIRFLOW_VAR_PLAIN"]))
	}
	for _, name := range []string{"", "a..b", "a.-b", "-a", "A", "a\n", "a_b", "a: b", strings.Repeat("a", 254)} {
		code, out, _ := executed(t, "render", "--variables", variables, "--format=secret", "--secret-name", name)
		assert.Equal(t, cli.Misuse, code, name)
		assert.Empty(t, out, name)
	}
	for _, namespace := range []string{"a.b", strings.Repeat("a", 64)} {
		code, _, _ := executed(t, "render", "--variables", variables, "--format=secret", "--secret-namespace", namespace)
		assert.Equal(t, cli.Misuse, code, namespace)
	}
}

// An id that is a label's value need be no object's name.
func TestAirflowsSecretsHaveNamesThatKubernetesTakes(t *testing.T) {
	code, out, errs := executed(t, "render", "--variables", written(t, `{a..b: x, c.-d: x, e_.f: x, "0": x, G--h: x, i.j: x}`), "--format=airflow-secrets")
	require.Equal(t, cli.OK, code, errs)
	names := map[string]string{}
	for _, secret := range secretsOf(t, out) {
		names[secret.Labels["airflow.apache.org/variable-key"]] = secret.Name
	}
	assert.Equal(t, map[string]string{
		"a..b": "variable-a-b", "c.-d": "variable-c-d", "e_.f": "variable-e-f", "0": "variable-0", "G--h": "variable-g-h", "i.j": "variable-i.j",
	}, names)
	long := strings.Repeat("a", 64)
	code, out, errs = executed(t, "render", "--variables", written(t, "{a..b: x, a.b: x, a--b: x, _a: x, "+long+": x}"), "--format=airflow-secrets")
	assert.Equal(t, cli.Failure, code)
	assert.Len(t, secretsOf(t, out), 2)
	for _, says := range []string{"the Secret's name variable-a-b is another's; rename one", `"_a": no label can have that id`, long + `": no label can have that id`} {
		assert.Contains(t, errs, says)
	}
}
