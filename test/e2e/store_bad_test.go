package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/test/stack"
)

const (
	secretsManager = "aws-secretsmanager"
	parameterStore = "aws-ssm"
	secretManager  = "gcp-secretmanager"
	keyVault       = "azure-keyvault"
)

// badRow is what a store comes to say of an entry that a pod has.
type badRow struct {
	name, source string
	// err is what the store says, or else kept is what it holds.
	err  error
	kept string
	// state is that of an optional entry of a new pod; empty where a new pod waits.
	state      layout.State
	code, says string
}

func fault(status int, code string) error { return cloudtest.Fault{Status: status, Code: code} }

func failedPrecondition(message string) error {
	return cloudtest.Fault{Status: 412, Body: message}
}

var badRows = []badRow{
	{name: "scheduled-for-deletion", source: secretsManager, err: cloudtest.Fault{Status: 400, Code: "InvalidRequestException", Body: "You can't perform this operation on the secret because it was marked for deletion."}, state: layout.Missing, code: "NotFound", says: "or it is marked for deletion"},
	{name: "no-current-version", source: secretsManager, err: fault(400, "ResourceNotFoundException"), state: layout.Missing, code: "NotFound", says: "there is no airflow/connections/no-current-version"},
	{name: "key-denied", source: secretsManager, err: fault(400, "AccessDeniedException"), state: layout.Denied, code: "PermissionDenied", says: "encrypted by a key of yours, allow kms:Decrypt"},
	{name: "not-decrypted", source: secretsManager, err: fault(400, "DecryptionFailure"), state: layout.Invalid, code: "FailedPrecondition", says: "DecryptionFailure"},
	{name: "region-is-off", source: secretsManager, err: fault(400, "RegionDisabledException"), state: layout.Invalid, code: "FailedPrecondition", says: "RegionDisabledException"},
	{name: "throttled", source: secretsManager, err: fault(400, "ThrottlingException"), code: "Unavailable", says: "ThrottlingException"},
	{name: "binary", source: secretsManager, kept: "binary:" + cloudNeedle, state: layout.Invalid, code: "FailedPrecondition", says: "the secret is binary; store text"},
	{name: "parameter-deleted", source: parameterStore, err: provider.ErrMissing, state: layout.Missing, code: "NotFound", says: "there is no /airflow/connections/parameter-deleted"},
	{name: "parameter-denied", source: parameterStore, err: provider.ErrDenied, state: layout.Denied, code: "PermissionDenied", says: "allow ssm:GetParameter on"},
	{name: "parameters-key", source: parameterStore, err: fault(400, "InvalidKeyId"), state: layout.Invalid, code: "FailedPrecondition", says: "InvalidKeyId"},
	{name: "version-disabled", source: secretManager, err: failedPrecondition("Secret Version [p] is in DISABLED state."), state: layout.Missing, code: "NotFound", says: "or its latest version is disabled or destroyed"},
	{name: "key-disabled", source: secretManager, err: failedPrecondition("The Cloud KMS key is not enabled."), state: layout.Invalid, code: "FailedPrecondition", says: "of its key in Cloud KMS; enable the key"},
	{name: "accessor-denied", source: secretManager, err: fault(403, ""), state: layout.Denied, code: "PermissionDenied", says: "grant roles/secretmanager.secretAccessor on projects/project/secrets/airflow-connections-accessor-denied"},
	{name: "empty", source: secretManager, kept: "", state: layout.Invalid, code: "FailedPrecondition", says: "text is empty; give a URI or a JSON object"},
	{name: "not-utf", source: secretManager, kept: "\xff\xfe" + cloudNeedle, state: layout.Invalid, code: "FailedPrecondition", says: "or its text is not UTF-8; store text"},
	{name: "disabled", source: keyVault, err: fault(403, "SecretDisabled"), state: layout.Missing, code: "NotFound", says: "it is disabled"},
	{name: "forbidden", source: keyVault, err: fault(403, "ForbiddenByRbac"), state: layout.Denied, code: "PermissionDenied", says: "assign the role Key Vault Secrets User on the secret airflow-connections-forbidden"},
	{name: "firewall", source: keyVault, err: fault(403, "ForbiddenByFirewall"), code: "Unavailable", says: "the vault's firewall does not admit this node"},
	{name: "byte-order-mark", source: keyVault, kept: "\ufeff" + `{"conn_type": "http", "password": "` + cloudNeedle + `"}`, state: layout.Invalid, code: "FailedPrecondition", says: "text begins with a byte order mark; store it without"},
	{name: "fields-of-another", source: keyVault, kept: `{"engine": "postgres", "username": "` + cloudNeedle + `"}`, state: layout.Invalid, code: "FailedPrecondition", says: `field "engine"`},
	{name: "something-else", source: keyVault, kept: cloudNeedle, state: layout.Invalid, code: "FailedPrecondition", says: "type"},
}

// storePod is of a namespace of its own: what throttles or is away for one identity is told to its namespace.
func (c *clouds) storePod(namespace, name, connections string) stack.Pod {
	c.api.Annotate(namespace, "reader", map[string]string{
		"iam.gke.io/gcp-service-account":    email(namespace + "/reader"),
		"eks.amazonaws.com/role-arn":        role("reader"),
		"azure.workload.identity/client-id": "client-reader",
	})
	identity := c.tokens.Pod(namespace, "reader", cloudtest.GCPTokenAudience, cloudtest.AWSTokenAudience, cloudtest.AzureTokenAudience)
	p := pod(name, c.token, map[string]string{"connections": connections, "refresh": "5s", "source": "core"})
	p.Namespace, p.ServiceAccount, p.CloudTokens = namespace, "reader", map[string]string{}
	for audience, text := range identity.CloudTokens {
		p.CloudTokens[audience] = text.Reveal()
	}
	return p
}

// startStores has the four stores of the clouds, which hold this.
func startStores(t *testing.T, hold func(name string) (string, error)) *clouds {
	t.Helper()
	c := newClouds(t)
	for _, server := range c.servers {
		server.Hold(func(_, name, _ string) (string, error) { return hold(name) })
	}
	c.start(t, "--source-aws-secretsmanager-kwargs={}", `--source-aws-ssm-kwargs={"endpoint_url": "`+c.servers["s3"].URL()+`"}`,
		`--source-gcp-secretmanager-kwargs={"project_id": "project"}`, `--source-azure-keyvault-kwargs={"vault_url": "https://v.vault.azure.net"}`,
		"--azure-tenant="+cloudtest.AzureTenant)
	return c
}

const soundURI = "postgres://etl:" + cloudNeedle + "@h/s"

// TestWhatAStoreSaysReachesEveryPlace has what pods run with come to be bad in each way, and looks for the word of
// it in the log, the event and the manifest, of pods that run and of new ones.
func TestWhatAStoreSaysReachesEveryPlace(t *testing.T) {
	t.Parallel() // most of the time it waits
	var isBad atomic.Bool
	c := startStores(t, func(name string) (string, error) {
		for _, row := range badRows {
			if isBad.Load() && strings.HasSuffix(name, row.name) {
				return row.kept, row.err
			}
		}
		return soundURI, nil
	})
	runs := map[string]stack.Pod{}
	for _, row := range badRows {
		p := c.storePod(row.name, "runs-"+row.name, row.name+"@"+row.source)
		require.NoError(t, c.Kubelet.Publish(t.Context(), p), row.name)
		require.Equal(t, soundURI, c.read(t, p, row.name))
		runs[row.name] = p
	}
	isBad.Store(true)
	t.Run("rows", func(t *testing.T) { // a pod waits long where a store is away, and the rows for nobody
		for _, row := range badRows {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				c.requireRunning(t, row, runs[row.name])
				c.requireNew(t, row)
			})
		}
	})
	c.noNeedle(t)
}

// hasEvent tells whether an event says so of a pod.
func (c *clouds) hasEvent(podName, reason, says string) bool {
	for _, event := range c.api.Events() {
		if event.InvolvedObject.Name == podName && event.Reason == reason && strings.Contains(event.Message, says) {
			return true
		}
	}
	return false
}

// requireRunning: what is denied or missing leaves a pod that runs; whatever else keeps its file.
func (c *clouds) requireRunning(t *testing.T, row badRow, p stack.Pod) {
	t.Helper()
	file := filepath.Join(c.Kubelet.Target(p), "connections", row.name)
	leaves := row.state == layout.Missing || row.state == layout.Denied
	reason := map[bool]string{true: "EntryWithdrawn", false: "EntryInvalid"}[leaves]
	isTold := func() bool { return c.hasEvent(p.Name, reason, row.says) }
	if row.state == "" { // a pod that runs hears of an outage once its files are stale
		isTold = func() bool { return strings.Contains(c.NodeOutput(), row.says) }
	}
	require.Eventually(t, isTold, testwait.Limit, 20*time.Millisecond, "no event %s of %s says %q: %s", reason, p.Name, row.says, asJSON(t, c.api.Events()))
	told := c.entries(t, p)[row.name]
	if leaves {
		assert.NoFileExists(t, file)
		assert.Equal(t, row.state, told.State)
		assert.Contains(t, told.Notices[0].Message, row.says)
		return
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, soundURI, string(text))
	assert.Equal(t, layout.Delivered, told.State)
	if row.state == layout.Invalid {
		require.NotNil(t, told.Held)
		assert.Contains(t, told.Held.Why, row.says)
	}
}

func (c *clouds) requireNew(t *testing.T, row badRow) {
	t.Helper()
	requires := c.storePod(row.name, "new-"+row.name, row.name+"@"+row.source)
	err := c.Kubelet.Publish(t.Context(), requires)
	require.ErrorContains(t, err, "code = "+row.code)
	require.ErrorContains(t, err, row.says)
	reason := map[layout.State]string{layout.Missing: "EntryMissing", layout.Denied: "EntryDenied", layout.Invalid: "EntryInvalid", "": "SourceUnavailable"}[row.state]
	assert.Eventually(t, func() bool { return c.hasEvent(requires.Name, reason, row.says) }, testwait.Limit, 20*time.Millisecond, reason)
	assert.Contains(t, c.NodeOutput(), strings.ReplaceAll(row.says, `"`, `\"`))

	if row.state == "" { // and so it does for an optional entry, which takes as long again
		return
	}
	optional := c.storePod(row.name, "may-be-"+row.name, row.name+"@"+row.source+"?")
	require.NoError(t, c.Kubelet.Publish(t.Context(), optional))
	told := c.entries(t, optional)[row.name]
	assert.Equal(t, row.state, told.State)
	assert.Contains(t, told.Notices[0].Message, row.says)
}

// TestNamesThatAStoreCannotHave are missing without a call, and two ids that lead to one name are one.
func TestNamesThatAStoreCannotHave(t *testing.T) {
	long := strings.Repeat("x", 64<<10)
	c := startStores(t, func(name string) (string, error) {
		switch {
		case strings.HasSuffix(name, "big"):
			return `{"conn_type": "http", "password": "` + long + `"}`, nil
		case strings.HasSuffix(name, "crlf"):
			return soundURI + "\r\n", nil
		}
		return soundURI, nil
	})
	p := c.storePod("airflow", "names", "a#b@"+secretsManager+"?, c#d@"+parameterStore+"?, e.f@"+secretManager+"?, g.h@"+keyVault+"?, i_j@"+keyVault+", i-j@"+keyVault+
		", big@"+secretManager+", crlf@"+secretsManager)
	require.NoError(t, c.Kubelet.Publish(t.Context(), p))
	told := c.entries(t, p)
	for id, says := range map[string]string{
		"a#b": "no secret of Secrets Manager has such a name", "c#d": "no parameter of Parameter Store has such a name",
		"e.f": "no secret of Secret Manager has such a name", "g.h": "no secret of Key Vault has such a name",
	} {
		assert.Equal(t, layout.Missing, told[id].State, id)
		assert.Contains(t, told[id].Notices[0].Message, says)
	}
	for _, id := range []string{"i_j", "i-j", "crlf"} {
		assert.Equal(t, soundURI, c.read(t, p, id))
	}
	assert.Contains(t, c.read(t, p, "big"), long)
	assert.Equal(t, 1, c.servers["blob"].Calls(cloudtest.Access), "one name, one call")
	c.noNeedle(t)
}
