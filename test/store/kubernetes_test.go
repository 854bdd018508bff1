//go:build store

package store

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/internal/source/kubernetes"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const kubernetesClass = "airflow.providers.cncf.kubernetes.secrets.kubernetes_secrets_backend.KubernetesSecretsBackend"

// labelled are Secrets that only Kubernetes has: the labels of each, and its data.
var labelled = []struct {
	labels string
	data   map[string]string
}{
	{"C=other_key V=other_key", map[string]string{"text": "x"}},
	{"C=binary V=binary", map[string]string{"value": "\xff\xfe"}},
	{"C=empty V=empty", map[string]string{"value": ""}},
	{"C=blank_text V=blank_text", map[string]string{"value": "  "}},
	{"C=teams V=teams T=a", map[string]string{"value": "http://team"}},
	{"C=twice_a T=a", map[string]string{"value": "http://team"}},
	{"C=twice_a", map[string]string{"value": "http://all"}},
	{"C=two V=two", map[string]string{"value": "http://h"}},
	{"C=two V=two", map[string]string{"value": "http://h"}},
	{"C=_team___x V=_team___x", map[string]string{"value": "http://h"}},
	{"C=both V=both", map[string]string{"value": "http://h", "second": "http://second"}},
	{"example.com/c=own V=own", map[string]string{"value": "http://h", "second": "http://second"}},
}

func TestKubernetes(t *testing.T) {
	api, err := kubetest.Start()
	require.NoError(t, err)
	t.Cleanup(func() {
		api.CloseClientConnections()
		api.Close()
	})
	connections, variables := fillKubernetes(api)
	api.MayList("team", "etl")
	token, err := api.Sign(kubetest.Token{Namespace: "team", ServiceAccount: "etl", Audiences: []string{kubetest.Audience}, Expires: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	pod := provider.Identity{Namespace: "team", ServiceAccount: "etl", CloudTokens: map[string]secret.Text{"": token}}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})
	caFile := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(caFile, ca, 0o600))

	var questions []question
	for name, kwargs := range map[string]string{
		"as it comes":    `{}`,
		"with namespace": `{"namespace": "team"}`,
		"other keys":     `{"connections_data_key": "second", "variables_data_key": "second"}`,
		"other label":    `{"connections_label": "example.com/c"}`,
	} {
		rules, err := kubernetes.NewRules(kwargs, "", "")
		require.NoError(t, err)
		ours, err := kubernetes.New(kubernetes.Config{API: &rest.Config{Host: api.URL, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}, Rules: rules})
		require.NoError(t, err)
		var theirs map[string]any
		require.NoError(t, json.Unmarshal([]byte(kwargs), &theirs))
		theirs["namespace"] = "team" // which Airflow finds in its pod
		questions = append(questions, question{
			Class: kubernetesClass, Kwargs: theirs, Connections: connections, Variables: variables, name: name, ours: ours, pod: pod,
			API: map[string]string{"host": api.URL, "token": token.Reveal(), "ca": caFile},
		})
	}
	judgeBy(t, kubernetesAges, questions, kubernetesDifferences)
}

// fillKubernetes stores every value, and returns the ids.
func fillKubernetes(api *kubetest.Server) (connections, variables []string) {
	values := maps.Clone(uris)
	maps.Copy(values, objects)
	for _, id := range special {
		values[id] = "http://" + hostOf(id)
	}
	put := func(i int, labels string, data map[string]string) {
		stored := corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: fmt.Sprintf("s%04d", i), Labels: map[string]string{}}, Data: map[string][]byte{}}
		for label := range strings.FieldsSeq(labels) {
			key, id, _ := strings.Cut(label, "=")
			for short, long := range map[string]string{"C": "airflow.apache.org/connection-id", "V": "airflow.apache.org/variable-key", "T": "airflow.apache.org/team"} {
				if key == short {
					key = long
				}
			}
			stored.Labels[key] = id
		}
		for key, value := range data {
			stored.Data[key] = []byte(value)
		}
		api.Store("nobody", stored)
	}
	next := 0
	for _, id := range keysOf(values) {
		next++
		put(next, "C="+id+" example.com/c="+id, map[string]string{"value": values[id], "second": values[id]})
	}
	for _, id := range keysOf(texts) {
		next++
		put(next, "V="+id, map[string]string{"value": texts[id], "second": "another " + texts[id]})
	}
	more := map[string]bool{}
	for _, one := range labelled {
		next++
		data := maps.Clone(one.data)
		if value, held := data["value"]; held && data["second"] == "" {
			data["second"] = value
		}
		put(next, one.labels, data)
		for label := range strings.FieldsSeq(one.labels) {
			if _, id, _ := strings.Cut(label, "="); id != "a" {
				more[id] = true
			}
		}
	}
	connections = append(append(keysOf(values), absent...), keysOf(more)...)
	return connections, append(append(keysOf(texts), absent...), keysOf(more)...)
}

const (
	noLabel  = "no label can be so, and there is nothing to ask for"
	twoOfOne = "which of two is meant is nobody's to guess"
	noTeams  = "the first class knows of no teams"
)

var kubernetesDifferences = and(ofConnections, ofOldConnections, map[string]difference{
	"__":                     {"refused", "missing", noLabel},
	"a/b":                    {"refused", "missing", noLabel},
	"dot.":                   {"refused", "missing", noLabel},
	"absent/deep":            {"refused", "missing", noLabel},
	strings.Repeat("n", 128): {"refused", "missing", noLabel},
	"old: _team___x":         {"refused", "missing", noLabel},
	"two":                    {"", "refused", twoOfOne},
	"other_key":              {"missing", "refused", isThere},
	"empty":                  {"missing", "refused", isThere},
	"old: teams":             {"", "missing", noTeams},
	"old: twice_a":           {`connection {"conn_type":"http","description":null,"extra":null,"host":"team"`, "connection", noTeams},
})
