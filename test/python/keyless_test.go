//go:build python

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/fetch"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/source/aws"
	"github.com/leoflow/secrets-csi/internal/source/azure"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/gcp"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/test/venv"
)

func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }

const (
	etlRole = "arn:aws:iam::123456789012:role/etl"
	client  = "cccccccc-1111-1111-1111-111111111111"
	// pool is a provider on GKE, whose project Google's SDK does not look for.
	pool = "p.svc.id.goog"
)

// keyless is a pod at three clouds, with the halves of the driver before it.
type keyless struct {
	tokens    *cloudtest.Tokens
	google    *cloudtest.GCP
	amazon    *cloudtest.AWS
	microsoft *cloudtest.Azure
	deliverer *deliver.Deliverer
	volume    deliver.Volume
	environ   []string
	agent     string
	log       testwait.Output
}

func audiences() []string {
	return []string{pool, cloudtest.AWSTokenAudience, cloudtest.PodIdentityAudience, cloudtest.AzureTokenAudience}
}

func startKeyless(t *testing.T, serviceAccount string) *keyless {
	tokens := cloudtest.NewTokens()
	k := &keyless{tokens: tokens, google: cloudtest.StartGCP(t, tokens), amazon: cloudtest.StartAWS(t, tokens), microsoft: cloudtest.StartAzure(t, tokens)}
	k.google.Audience, k.google.TokenAudience = "identitynamespace:"+pool+":https://cluster", pool
	// What is good for less than SDKs want is exchanged anew each time. Azure's has its clock moved on instead.
	k.google.Lasting, k.amazon.Lasting = time.Minute, time.Minute
	k.microsoft.Scope = "https://storage.azure.com/.default"
	k.amazon.Associations = map[string]string{"airflow/associated": "arn:aws:iam::123456789012:role/associated"}

	google, err := gcp.New(gcp.Config{Audience: k.google.Audience, STSURL: k.google.URL() + "/token", HTTP: k.google.Client()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, google.Close()) })
	annotations := map[string]map[string]string{
		"etl":        {aws.RoleAnnotation: etlRole, azure.ClientAnnotation: client, azure.TenantAnnotation: cloudtest.AzureTenant},
		"associated": {},
	}
	resolver := secretmanager.New(secretmanager.Config{
		Clouds: map[string]secretmanager.Cloud{
			"gcp": google, "aws": aws.New(aws.Config{PodIdentity: true, Agent: k.amazon.StartAgent(t), HTTP: k.amazon.Client()}), "azure": azure.New(azure.Config{AuthorityHost: k.microsoft.URL(), HTTP: k.microsoft.Client()}),
		},
		Annotations: func(_ context.Context, _, serviceAccount string) (map[string]string, error) {
			return annotations[serviceAccount], nil
		},
	})
	core := providertest.NewFake()
	blobs := httptest.NewTLSServer(http.HandlerFunc(k.blob))
	objects := httptest.NewServer(http.HandlerFunc(k.object))
	t.Cleanup(blobs.Close)
	t.Cleanup(objects.Close)
	core.SetConnection(airflow.Connection{ID: "google_cloud_default", Type: "google_cloud_platform"})
	core.SetConnection(airflow.Connection{ID: "aws_default", Type: "aws"})
	core.SetConnection(airflow.Connection{ID: "wasb_default", Type: "wasb", Host: new(blobs.URL + "/lake")})
	readers := report.Readers{Log: slog.New(slog.NewJSONHandler(&k.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	k.deliverer = deliver.New(deliver.Config{
		Fetcher: fetch.New(fetch.Config{
			Providers: map[string]provider.Provider{"core": core}, Identities: resolver, FetchTimeout: time.Minute, Readers: readers,
		}),
		VolumeSize: 1 << 20, PollEvery: time.Hour, Readers: readers,
	})
	target, err := filepath.EvalSymlinks("/var/run")
	require.NoError(t, err)
	target = filepath.Join(target, "leoflow", "secrets") // layout.DefaultDir, in this process's mount namespace
	require.NoError(t, os.MkdirAll(filepath.Dir(target), 0o755))
	t.Cleanup(func() { assert.NoError(t, mount.Unmount(target)) })
	k.volume = deliver.Volume{
		ID: "csi-" + serviceAccount, TargetPath: target, Mode: 0o444, Format: seam.URI, Provider: "core",
		Connections: deliver.Wanted{Names: []deliver.WantedName{{ID: "google_cloud_default"}, {ID: "aws_default"}, {ID: "wasb_default"}}},
		Pod:         provider.Identity{Namespace: "airflow", ServiceAccount: serviceAccount, PodName: "pod", Token: providertest.Token("airflow", serviceAccount, "core")},
	}

	dir := t.TempDir()
	trusted := filepath.Join(dir, "clouds.pem")
	require.NoError(t, os.WriteFile(trusted, k.amazon.Certificate(), 0o600)) // httptest's, which all have
	k.agent = filepath.Join(dir, "agent")
	require.NoError(t, venv.Quiet(t.Context(), "go", "build", "-o", k.agent, "../../cmd/agent"))
	k.environ = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1",
		"REQUESTS_CA_BUNDLE=" + trusted, "AWS_CA_BUNDLE=" + trusted, "AWS_DEFAULT_REGION=eu-west-1",
		"AWS_ENDPOINT_URL_STS=" + k.amazon.URL(), "AWS_ENDPOINT_URL_S3=" + objects.URL, "STORAGE_EMULATOR_HOST=" + objects.URL,
		"AWS_EC2_METADATA_DISABLED=true", "NO_GCE_CHECK=true",
	}
	return k
}

// republish is kubelet's next publish, with new tokens; those before are good no more.
func (k *keyless) republish(t *testing.T) {
	before := k.volume.Pod
	k.volume.Pod.CloudTokens = k.tokens.Pod("airflow", before.ServiceAccount, audiences()...).CloudTokens
	require.NoError(t, k.deliverer.Publish(t.Context(), k.volume))
	k.tokens.Expire(before)
}

// object is what Cloud Storage and S3 have of one object each, which tells who reads it.
func (k *keyless) object(w http.ResponseWriter, r *http.Request) {
	principal, known := k.google.Principal(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if !known {
		principal, known = k.amazon.Principal(r.Header.Get("X-Amz-Security-Token"))
	}
	tell(w, r, principal, known)
}

func (k *keyless) blob(w http.ResponseWriter, r *http.Request) {
	principal, known := k.microsoft.Principal(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	w.Header().Set("X-Ms-Blob-Type", "BlockBlob")
	tell(w, r, principal, known)
}

func tell(w http.ResponseWriter, r *http.Request, principal string, known bool) {
	if !known {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.Header().Set("Last-Modified", "Fri, 27 Nov 2026 12:00:00 GMT")
	w.Header().Set("ETag", `"1"`)
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", fmt.Sprint(len(principal)))
	if r.Header.Get("X-Ms-Range") != "" {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(principal)-1, len(principal)))
		w.WriteHeader(http.StatusPartialContent)
	}
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, principal)
	}
}

// process is one run of keyless.py under the agent.
type process struct {
	in     io.WriteCloser
	out    *bufio.Scanner
	logged *testwait.Output
}

func (k *keyless) start(t *testing.T) *process {
	ctx := testwait.Context(t)
	j := &judge{cache: defaultCache(), dir: t.TempDir(), root: "../.."}
	a, python := ages[0], interpreters(ctx)
	version := pick(python, a.pythons...)
	recipe := venv.Recipe{Name: "hooks-" + a.name + "-" + version, Python: python[version], Before: a.before, Packages: a.packages(), Without: notInstalled}
	dir, err := recipe.Make(ctx, j.cache, func(line string) { t.Log(line) })
	require.NoError(t, err)
	require.NoError(t, j.installWheels(ctx, dir))
	p := &process{logged: new(testwait.Output)}
	command := exec.CommandContext(ctx, k.agent, "exec", "--", filepath.Join(dir, "bin", "python"), "python/keyless.py")
	command.Env, command.Stderr = k.environ, p.logged
	p.in, err = command.StdinPipe()
	require.NoError(t, err)
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	p.out = bufio.NewScanner(out)
	t.Cleanup(func() {
		assert.NoError(t, p.in.Close())
		assert.NoError(t, command.Wait(), p.logged.String())
		assert.NotContains(t, p.logged.String(), "n33dle")
	})
	return p
}

type said struct{ Hook, Who, Error string }

func (p *process) ask(t *testing.T, later time.Duration, hooks ...string) (all []said) {
	t.Helper()
	line, err := json.Marshal(map[string]any{"hooks": hooks, "later": later.Seconds()})
	require.NoError(t, err)
	_, err = p.in.Write(append(line, '\n'))
	require.NoError(t, err)
	for range hooks {
		require.True(t, p.out.Scan(), p.logged.String())
		var one said
		require.NoError(t, json.Unmarshal(p.out.Bytes(), &one), p.out.Text())
		all = append(all, one)
	}
	return all
}

// Real hooks of real providers, with real SDKs and a connection without credentials, at servers that speak the
// real exchange: the token is replaced twice during one process's life, and the one before ended each time.
func TestHooksOfConnectionsWithoutCredentialsFindThePodsIdentity(t *testing.T) {
	k := startKeyless(t, "etl")
	k.republish(t)
	p := k.start(t)
	want := []said{
		{"gcs", "airflow/etl", ""}, {"s3", "airflow/etl as " + etlRole, ""},
		{"wasb", "airflow/etl as " + client + " in " + cloudtest.AzureTenant, ""},
	}
	const aLife = 2 * time.Hour
	for i := range 3 {
		if i > 0 {
			k.republish(t)
		}
		assert.Equal(t, want, p.ask(t, time.Duration(i)*aLife, "gcs", "s3", "wasb"), "token %d\n%s", i+1, p.logged)
		t.Logf("token %d: %d, %d and %d exchanges", i+1, k.google.Calls(cloudtest.Exchange), k.amazon.Calls(cloudtest.Exchange), k.microsoft.Calls(cloudtest.Exchange))
	}

	// The exchange is away, and is there again. The other two SDKs wait for it for minutes.
	k.amazon.Break(func(cloudtest.Step) *cloudtest.Fault {
		return &cloudtest.Fault{Status: http.StatusServiceUnavailable, Body: "away"}
	})
	assert.NotEmpty(t, p.ask(t, 3*aLife, "s3")[0].Error)
	k.amazon.Mend()
	assert.Equal(t, want, p.ask(t, 3*aLife, "gcs", "s3", "wasb"))

	// A token that is good no more is refused: what was read before was read by the one that was there.
	k.tokens.Expire(k.volume.Pod)
	for _, one := range p.ask(t, 4*aLife, "gcs", "s3", "wasb") {
		assert.NotEmpty(t, one.Error, one.Hook)
		assert.Empty(t, one.Who, one.Hook)
	}
	for _, token := range k.volume.Pod.CloudTokens {
		assert.NotContains(t, p.logged.String()+k.log.String(), token.Reveal())
	}
}

// A pod whose service account names no role has that of EKS Pod Identity: the SDK shows the token to the agent
// on the node, and no credential is written.
func TestAHookAsksTheAgentOfEKSPodIdentity(t *testing.T) {
	k := startKeyless(t, "associated")
	k.volume.Connections.Names = k.volume.Connections.Names[1:2]
	k.republish(t)
	p := k.start(t)
	for i := range 3 {
		if i > 0 {
			k.republish(t)
		}
		assert.Equal(t, []said{{"s3", "airflow/associated as arn:aws:iam::123456789012:role/associated", ""}}, p.ask(t, 0, "s3"), p.logged)
	}
	assert.Zero(t, k.amazon.Calls(cloudtest.Exchange))
	assert.Positive(t, k.amazon.Calls(cloudtest.Agent))
	files, err := os.ReadDir(filepath.Join(k.volume.TargetPath, layout.IdentityDir))
	require.NoError(t, err)
	require.Len(t, files, 1)
	assert.Equal(t, "aws.token", files[0].Name())
}
