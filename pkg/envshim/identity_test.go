package envshim

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// keyless is a volume with identities at AWS and Google.
func keyless(t *testing.T, token string) (dir string) {
	t.Helper()
	dir = newVolume(t)
	made := content(map[string]string{"region": "north"})
	aws, gcp := layout.NewIdentity("aws", "sts.amazonaws.com", false), layout.NewIdentity("gcp", "pool", true)
	aws.Variables = []layout.IdentityVariable{{Name: layout.AWSRole, Value: "arn:aws:iam::1:role/a"}, {Name: layout.AWSTokenFile, File: aws.Token}}
	gcp.Variables = []layout.IdentityVariable{{Name: layout.GoogleCredentials, File: gcp.Config}}
	for i, one := range []mount.Identity{{Identity: aws, Token: []byte(token)}, {Identity: gcp, Token: []byte(token), Config: []byte("{}")}} {
		made.Identities = append(made.Identities, one)
		id := one.Cloud + "_default"
		made.Entries = append(made.Entries, mount.Entry{
			Entry: layout.Entry{Kind: layout.Connection, ID: id, State: layout.Delivered, Env: "AIRFLOW_CONN_" + strings.ToUpper(id),
				File: layout.ConnectionsDir + "/" + id, Identity: one.Cloud},
			Value: []byte(fmt.Sprint("aws://", i)), JSON: []byte(`"x"`),
		})
	}
	_, err := mount.Write(dir, made)
	require.NoError(t, err)
	return dir
}

func jwt(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".needle"
}

func variablesOf(t *testing.T, dir string, inherited ...string) map[string]string {
	t.Helper()
	snapshot, err := Read(dir)
	require.NoError(t, err)
	snapshot, _ = snapshot.Beside(inherited)
	carried, left := snapshot.Environment(NoBackend)
	assert.Empty(t, left)
	environ, err := Merge(inherited, carried, false)
	require.NoError(t, err)
	return settings(environ)
}

func TestAnIdentityIsInTheVariablesOfItsSDK(t *testing.T) {
	dir := keyless(t, jwt(`{}`))
	set := variablesOf(t, dir, "PATH=/bin")
	assert.Equal(t, "arn:aws:iam::1:role/a", set["AWS_ROLE_ARN"])
	assert.Equal(t, filepath.Join(dir, "identity/aws.token"), set["AWS_WEB_IDENTITY_TOKEN_FILE"])
	assert.Equal(t, filepath.Join(dir, "identity/gcp.json"), set["GOOGLE_APPLICATION_CREDENTIALS"])
	assert.Equal(t, "/bin", set["PATH"])

	snapshot, err := Read(dir)
	require.NoError(t, err)
	for _, format := range []Format{JSON, Export, Kubelet} {
		var out bytes.Buffer
		require.NoError(t, format.Write(&out, snapshot.Entries))
		assert.Contains(t, out.String(), "AWS_WEB_IDENTITY_TOKEN_FILE")
		assert.NotContains(t, out.String(), "needle")
	}
	for _, backend := range []Backend{FileBackend, VolumeBackend} { // none of which hands the SDKs anything
		carried, _ := snapshot.Environment(backend)
		assert.Len(t, carried, 3, backend)
	}
	assert.Equal(t, []string{"gcp"}, snapshot.Misplaced(dir))
	assert.Empty(t, snapshot.Misplaced(layout.DefaultDir))
}

// A token is renewed under the program: paths stay, and nothing is restarted for it.
func TestARenewedTokenIsNoRotation(t *testing.T) {
	dir := keyless(t, jwt(`{}`))
	before, err := Read(dir)
	require.NoError(t, err)
	differs := fromEntries(before.Entries)
	_, err = mount.Renew(dir, func(string) []byte { return []byte(jwt(`{"n": 2}`)) }, 0o440, 0)
	require.NoError(t, err)
	after, err := Read(dir)
	require.NoError(t, err)
	isOther, err := differs(after)
	require.NoError(t, err)
	assert.False(t, isOther)
}

// What the container sets stays, and the rest of that cloud's is left out.
func TestAContainersOwnIdentityStays(t *testing.T) {
	dir := keyless(t, jwt(`{}`))
	set := variablesOf(t, dir, "AWS_ROLE_ARN=arn:aws:iam::1:role/webhook")
	assert.Equal(t, "arn:aws:iam::1:role/webhook", set["AWS_ROLE_ARN"])
	assert.NotContains(t, set, "AWS_WEB_IDENTITY_TOKEN_FILE")
	assert.Contains(t, set, "GOOGLE_APPLICATION_CREDENTIALS")

	snapshot, err := Read(dir)
	require.NoError(t, err)
	for environ, want := range map[string][]string{
		"AWS_ROLE_ARN=other": {"aws"}, "AWS_CONTAINER_CREDENTIALS_FULL_URI=x": {"aws"}, "GOOGLE_APPLICATION_CREDENTIALS=": {"gcp"}, "HOME=/": nil,
		"AWS_ACCESS_KEY_ID=AKIA": {"aws"}, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2": {"aws"},
		"GOOGLE_APPLICATION_CREDENTIALS=" + filepath.Join(dir, "identity/gcp.json"): nil,
	} {
		_, clouds := snapshot.Beside([]string{environ})
		assert.Equal(t, want, clouds, environ)
	}
}

// Azure's SDKs would take a secret of the container's for that of the client whom the volume names.
func TestAContainersOwnSecretLeavesNoHalfOfAnIdentity(t *testing.T) {
	azure := layout.NewIdentity("azure", "api://AzureADTokenExchange", false)
	azure.Variables = []layout.IdentityVariable{{Name: layout.AzureClient, Value: "client"}, {Name: layout.AzureTokenFile, File: azure.Token}}
	s := Snapshot{Manifest: layout.Manifest{Identities: []layout.Identity{azure}}}
	var err error
	s.Entries, err = s.identified("/volume")
	require.NoError(t, err)
	for _, name := range []string{"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_PASSWORD"} {
		left, clouds := s.Beside([]string{name + "=x"})
		assert.Empty(t, left.Entries, name)
		assert.Equal(t, []string{"azure"}, clouds, name)
	}
}

func TestAProbeNamesAudienceAndIssuer(t *testing.T) {
	future, past := time.Now().Add(time.Hour).Unix(), time.Now().Add(-10*time.Minute).Unix()
	report := Probe(keyless(t, jwt(fmt.Sprintf(`{"iss": "https://issuer", "sub": "system:serviceaccount:ns:sa", "aud": ["x"], "exp": %d}`, future))), Program{})
	assert.Empty(t, report.Problems)
	require.Len(t, report.Identities, 2)
	one := report.Identities[0]
	assert.Equal(t, "sts.amazonaws.com https://issuer system:serviceaccount:ns:sa", one.Audience+" "+one.Issuer+" "+one.Subject)
	assert.Equal(t, future, one.Expires.Unix())

	for claims, problem := range map[string]string{
		jwt(fmt.Sprintf(`{"iss": "https://issuer", "exp": %d}`, past)): "the token for audience sts.amazonaws.com of issuer https://issuer ended at",
		"needle":            "identity at aws: its token is no JWT",
		"a.needle.c":        "identity at aws: its token is no JWT",
		jwt(`{"exp": "x"}`): "identity at aws: its token is no JWT",
	} {
		report := Probe(keyless(t, claims), Program{})
		require.Len(t, report.Problems, 2)
		assert.Contains(t, report.Problems[0], problem)
		assert.NotContains(t, fmt.Sprint(report), "needle")
	}
}

func TestAnIdentityOfALaterReleaseIsPassedOver(t *testing.T) {
	s := Snapshot{Manifest: layout.Manifest{Identities: []layout.Identity{
		{Cloud: "aws", Audience: "a", Token: "identity/aws.token", Variables: []layout.IdentityVariable{{Name: "LD_PRELOAD", Value: "/x.so"}}},
		{Cloud: "oci", Audience: "a", Token: "identity/oci.token"},
	}}}
	entries, err := s.identified("/volume")
	require.NoError(t, err)
	assert.Empty(t, entries)
}
