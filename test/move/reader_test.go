package move

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/test/console"
	"github.com/leoflow/secrets-csi/test/stack"
)

// What the page's tasks run as, and what they ask for. The store holds another connection besides.
const (
	namespace, account = "airflow", "etl"
	own, other         = "warehouse", "payroll"
	needle             = "n33dle-of-the-warehouse"
)

// uris are what the store holds, by the id.
var uris = map[string]string{own: "postgres://etl:" + needle + "@db.example.com:5432/main", other: "postgres://hr:n33dle-of-the-payroll@db.example.com:5432/hr"}

// reader is somebody who follows a section: the machine, and the cluster with Airflow.
type reader struct {
	t   *testing.T
	dir string
	api *kubetest.Server
	// kwargs are those in airflow.cfg.
	kwargs string
	// env are variables that the section supposes.
	env []string
	// programs are those that the store has.
	programs map[string]program
	// driverArgs lead the driver to the servers of the test.
	driverArgs []string
	// cloudTokens are those of a pod by their audiences.
	cloudTokens func(pod string) map[string]string

	annotations map[string]string
	secrets     map[string]map[string]string // by namespace and name
	roles       map[string][]string          // names of Secrets
	stack       *stack.Stack
}

func sitDown(t *testing.T, begin func(r *reader)) *reader {
	t.Helper()
	_, err := build()
	require.NoError(t, err)
	api, err := kubetest.Start()
	require.NoError(t, err)
	t.Cleanup(func() {
		api.CloseClientConnections()
		api.Close()
	})
	r := &reader{
		t: t, dir: t.TempDir(), api: api, annotations: map[string]string{}, secrets: map[string]map[string]string{}, roles: map[string][]string{},
		programs: map[string]program{}, cloudTokens: func(string) map[string]string { return nil },
	}
	r.programs["airflow"], r.programs["kubectl"], r.programs["helm"] = r.airflow, r.kubectl, r.helm
	r.api.Annotate(namespace, account, r.annotations)
	begin(r)
	return r
}

// shell is the reader's terminal.
func (r *reader) shell() *console.Shell {
	dir, socket := answerPrograms(r.t, r.programs)
	env := append(r.env, "PATH="+dir+":"+os.Getenv("PATH"), socketVariable+"="+socket)
	return console.Open(r.dir, r.t.TempDir(), env...)
}

func (r *reader) write(name string, content []byte) (path string) {
	path = filepath.Join(r.t.TempDir(), name)
	require.NoError(r.t, os.WriteFile(path, content, 0o600))
	return path
}

func (r *reader) airflow(c typed) (string, error) {
	if words, _ := c.words(); !is(words, "config get-value secrets backend_kwargs") {
		return c.unknown()
	}
	return r.kwargs + "\n", nil
}

func (r *reader) kubectl(c typed) (string, error) {
	words, options := c.words()
	in := options["n"][0]
	switch {
	case is(words, "annotate serviceaccount "+account) && in == namespace:
		name, value, _ := strings.Cut(words[3], "=")
		r.annotations[name] = value
		r.api.Annotate(namespace, account, maps.Clone(r.annotations))
	case is(words, "create secret generic"):
		data := map[string]string{}
		for _, file := range options["from-file"] {
			name, path, isNamed := strings.Cut(file, "=")
			if isNamed && path == "/dev/stdin" {
				data[name] = c.Stdin
				continue
			}
			content, err := os.ReadFile(filepath.Join(c.Dir, file))
			if err != nil {
				return "", err
			}
			data[name] = string(content)
		}
		r.secrets[in+"/"+words[3]] = data
	case is(words, "get secret"):
		key := strings.TrimSuffix(strings.TrimPrefix(options["o"][0], "jsonpath={.data."), "}")
		return base64.StdEncoding.EncodeToString([]byte(r.secrets[in+"/"+words[2]][key])), nil
	case is(words, "create role") && options["verb"][0] == "get" && options["resource"][0] == "secrets":
		r.roles[words[2]] = options["resource-name"]
	case is(words, "create rolebinding"):
		for _, name := range r.roles[options["role"][0]] {
			subject := strings.Split(options["serviceaccount"][0], ":")
			r.api.Store(subject[1], r.stored(subject[0], name))
		}
	default:
		return c.unknown()
	}
	return "", nil
}

// stored is a Secret of a namespace.
func (r *reader) stored(in, name string) corev1.Secret {
	data := map[string][]byte{}
	for key, value := range r.secrets[in+"/"+name] {
		data[key] = []byte(value)
	}
	made := corev1.Secret{Data: data}
	made.Namespace, made.Name = in, name
	made.Labels = map[string]string{"airflow.apache.org/connection-id": strings.TrimPrefix(name, "airflow-conn-")}
	return made
}

// flags are the driver's by the chart's values; test/chart holds the chart to them.
func flags() (map[string]string, error) {
	text, err := os.ReadFile("flags.txt")
	found := map[string]string{}
	for line := range strings.Lines(string(text)) {
		value, flag, _ := strings.Cut(strings.TrimSpace(line), " ")
		found[value] = flag
	}
	return found, err
}

// helm starts core and the driver anew, as the values want them.
func (r *reader) helm(c typed) (string, error) {
	words, options := c.words("reuse-values")
	if !is(words, "upgrade leoflow charts/leoflow-secrets-csi") || options["n"][0] != "leoflow" {
		return c.unknown()
	}
	known, err := flags()
	if err != nil {
		return "", err
	}
	values := map[string]string{}
	for _, how := range []string{"set", "set-file", "set-json"} {
		for _, each := range options[how] {
			name, value, _ := strings.Cut(each, "=")
			if how == "set-file" {
				content, err := os.ReadFile(filepath.Join(c.Dir, value))
				if err != nil {
					return "", err
				}
				value = string(content)
			}
			values[name] = value
		}
	}
	started := stack.Options{Connections: "{}", Variables: "{}", Rules: "rules: []\n", DriverArgs: r.driverArgs, CoreArgs: r.coreArgs(values)}
	if rules, given := values["referenceCore.rules"]; given {
		started.Rules = `{"rules": ` + rules + "}\n"
	}
	for name, value := range values {
		flag, isDrivers := known[name]
		if isDrivers {
			started.DriverArgs = append(started.DriverArgs, flag+"="+value)
		} else if !strings.HasPrefix(name, "referenceCore.") && !strings.HasPrefix(name, "test.") {
			return "", fmt.Errorf("flags.txt has no value %s", name)
		}
	}
	return "", r.start(started)
}

// coreArgs are what core has of the chart's values and of the Secrets that these name.
func (r *reader) coreArgs(values map[string]string) (args []string) {
	for value, of := range map[string]struct{ key, flag string }{
		"referenceCore.metastore.urlSecretName": {"url", "--airflow-db"}, "referenceCore.metastore.fernetKeysSecretName": {"keys", "--airflow-fernet-keys"},
	} {
		if name := values[value]; name != "" {
			args = append(args, of.flag+"="+r.write(of.key, []byte(r.secrets["leoflow/"+name][of.key])))
		}
	}
	return args
}

func (r *reader) start(options stack.Options) (err error) {
	if options.Bin, err = build(); err != nil {
		return err
	}
	kubeconfig := "--kubeconfig=" + r.write("kubeconfig", r.api.Kubeconfig())
	options.CoreArgs = append(options.CoreArgs, "--auth=tokenreview", kubeconfig)
	options.DriverArgs = append(options.DriverArgs, kubeconfig)
	r.stack, err = stack.Start(context.WithoutCancel(r.t.Context()), options)
	if err == nil {
		r.t.Cleanup(func() { assert.NoError(r.t, r.stack.Close()) })
	}
	return err
}

// volumeOf is what the section's volume asks for.
func volumeOf(t *testing.T, document console.Document) map[string]string {
	t.Helper()
	for _, step := range document.Steps {
		if step.File == "volume.yaml" {
			var volume struct {
				CSI struct {
					Driver           string
					ReadOnly         bool
					VolumeAttributes map[string]string
				}
			}
			require.NoError(t, yaml.UnmarshalStrict([]byte(step.Content), &volume))
			assert.Equal(t, "secrets.csi.leoflow.io", volume.CSI.Driver)
			assert.True(t, volume.CSI.ReadOnly)
			return volume.CSI.VolumeAttributes
		}
	}
	require.Fail(t, "the section has no volume")
	return nil
}

func (r *reader) pod(t *testing.T, name string, attributes map[string]string) stack.Pod {
	t.Helper()
	require.NotNil(t, r.stack, "the section upgrades nothing")
	token := func(audience string) string {
		signed, err := r.api.Sign(kubetest.Token{Namespace: namespace, ServiceAccount: account, Pod: name, PodUID: name, Audiences: []string{audience}, Expires: time.Now().Add(time.Hour)})
		require.NoError(t, err)
		return signed.Reveal()
	}
	made := stack.Pod{Name: name, UID: name, Namespace: namespace, ServiceAccount: account, Token: token(auth.PodAudience), CloudTokens: map[string]string{"": token(kubetest.Audience)}, Attributes: attributes}
	maps.Copy(made.CloudTokens, r.cloudTokens(name))
	return made
}

// gets has a pod with the volume have its connection.
func (r *reader) gets(t *testing.T, volume map[string]string) {
	t.Helper()
	pod := r.pod(t, "own", volume)
	require.NoError(t, r.stack.Kubelet.Publish(t.Context(), pod))
	content, err := os.ReadFile(filepath.Join(r.stack.Kubelet.Target(pod), "connections", own))
	require.NoError(t, err)
	assert.Equal(t, uris[own], string(content))
}

// getsNoOther has a pod of the same account be denied what else the store holds, and nobody tell its value.
func (r *reader) getsNoOther(t *testing.T, volume map[string]string) {
	t.Helper()
	volume = maps.Clone(volume)
	volume["connections"] = other
	err := r.stack.Kubelet.Publish(t.Context(), r.pod(t, "other", volume))
	require.ErrorContains(t, err, `connection "`+other+`" is denied to service account airflow/etl`)
	assert.NotContains(t, err.Error()+r.stack.NodeOutput()+r.stack.Core.Output(), "n33dle")
}

// grants are what the reader gave rights to, for a store that is not real.
type grants map[string]bool

// may is what a store's server answers: uris by name, to whoever was given the right.
func (g grants) may(who, id string) (string, bool) { return uris[id], g[who+" "+id] }

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}
