package airflow

import (
	"encoding/json"
	"maps"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/needle"
)

// tasks are those of all DAGs.
var tasks = []string{"reads", "watches", "defers", "overrides", "operates", "decorated", "hooked", "granted"}

// searchEverything goes through what Airflow and the cluster have written down: pods and
// events, all logs, and the metadata database, in which are XComs and rendered templates.
// The DAG's id is searched for too, and must be found: the search is none otherwise.
func (a *installation) searchEverything() {
	a.Helper()
	needles := maps.Clone(a.entries.needles)
	needles[a.dag] = "DAG"
	found := map[string][]string{}
	for place, content := range a.places() {
		a.Logf("searching %d bytes: %s", len(content), place)
		needle.Search(place, content, needles, found)
	}
	for _, place := range append([]string{"pods", "metadata database", "scheduler", "dag-processor", "triggerer"}, tasks...) {
		assert.Contains(a, found["DAG"], place, "the search finds what is there")
	}
	delete(found, "DAG")
	assert.Empty(a, found)
	rendered, err := a.query("SELECT rendered_fields FROM rendered_task_instance_fields WHERE task_id = 'reads'")
	require.NoError(a, err)
	assert.Contains(a, rendered, "***", "what was rendered is there, and masked")
}

func (a *installation) places() map[string][]byte {
	a.Helper()
	places := map[string][]byte{}
	pods, err := a.Client.CoreV1().Pods(a.Namespace).List(a.Ctx, metav1.ListOptions{})
	require.NoError(a, err)
	events, err := a.Client.CoreV1().Events(a.Namespace).List(a.Ctx, metav1.ListOptions{})
	require.NoError(a, err)
	require.NotEmpty(a, events.Items)
	for place, list := range map[string]any{"pods": pods, "events": events} {
		places[place], err = json.Marshal(list)
		require.NoError(a, err)
	}
	dump, err := a.inDatabase("pg_dump")
	require.NoError(a, err)
	places["metadata database"] = []byte(dump)
	for _, program := range []string{"database", "api-server", "scheduler", "dag-processor", "triggerer"} {
		label := "app=airflow-" + program
		places[program] = a.written(label)
		pods, err := a.pods(a.Ctx, label)
		require.NoError(a, err)
		for _, pod := range pods {
			files := a.Exec(pod.Name, "/bin/bash", "-ec", "mkdir -p /opt/airflow/logs; find /opt/airflow/logs -type f -exec cat {} +")
			places[program] = append(places[program], files...)
		}
	}
	for _, task := range tasks {
		places[task] = a.written("task_id=" + task)
	}
	return places
}

// written are the logs of all pods with the label.
func (a *installation) written(label string) []byte {
	a.Helper()
	logs, err := a.logs(a.Ctx, label)
	require.NoError(a, err)
	var all []byte
	for _, log := range logs {
		all = append(all, log...)
	}
	return all
}
