package airflow

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
	"github.com/leoflow/secrets-csi/test/kind/needle"
)

// installation is one Airflow in a namespace of its own.
type installation struct {
	*clustertest.Cluster
	entries *entries
	// dag is what the ids of the DAGs begin with, by which the search shows that it finds something.
	dag string
}

// start makes an Airflow whose tasks run as soon as the scheduler knows of them.
func start(t *testing.T, entries *entries) *installation {
	t.Helper()
	a := &installation{
		Cluster: clustertest.Connect(t, clustertest.Space{Prefix: "leoflow-airflow-", Patience: patience}),
		entries: entries, dag: needle.Text(),
	}
	t.Cleanup(a.explain)
	began := time.Now()
	a.store(a.manifests())
	a.apply("testdata/server.yaml")
	_, err := await.Deployment(a.Ctx, a.Client, a.Namespace, "airflow-api-server", chart.IsRolledOut)
	require.NoError(t, err)
	t.Logf("the API server is ready after %v", time.Since(began).Round(time.Second))
	a.apply("testdata/programs.yaml")
	a.createTriggerer()
	return a
}

func (a *installation) apply(file string) {
	a.Helper()
	command := exec.CommandContext(a.Ctx, "kubectl", "apply", "--namespace", a.Namespace, "--filename", "-")
	command.Stdin = strings.NewReader(a.content(file))
	output, err := command.CombinedOutput()
	require.NoError(a, err, string(output))
}

// pods are those with the label.
func (a *installation) pods(ctx context.Context, label string) ([]corev1.Pod, error) {
	list, err := a.Client.CoreV1().Pods(a.Namespace).List(ctx, metav1.ListOptions{LabelSelector: label})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// logs are what all containers of the pods with the label have written, by their names. Those
// that can be had are returned with an error, too: a container may not have begun.
func (a *installation) logs(ctx context.Context, label string) (map[string]string, error) {
	logs := map[string]string{}
	pods, err := a.pods(ctx, label)
	for _, pod := range pods {
		for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			options := &corev1.PodLogOptions{Container: container.Name}
			content, failure := a.Client.CoreV1().Pods(a.Namespace).GetLogs(pod.Name, options).DoRaw(ctx)
			err = errors.Join(err, failure)
			logs[pod.Name+" "+container.Name] = string(content)
		}
	}
	return logs, err
}

// awaitSeen returns once a pod with the label has written that it sees this.
func (a *installation) awaitSeen(label, what, seen string) {
	a.Helper()
	words := fmt.Sprintf("SEEN %s: %s", what, seen)
	isSaid := func() bool {
		logs, _ := a.logs(a.Ctx, label) // until the patience is over
		for _, log := range logs {
			if strings.Contains(log, words) {
				return true
			}
		}
		return false
	}
	err := await.Until(a.Ctx, func() bool { return isSaid() || a.isOver() })
	require.NoError(a, err, "waiting until %s says: %s", label, words)
	require.True(a, isSaid(), "all tasks have ended, and %s did not say: %s", label, words)
}

// isOver holds once no task runs, waits or is to be run again.
func (a *installation) isOver() bool {
	pods, err := a.pods(a.Ctx, "kubernetes_executor=True")
	if err != nil || len(pods) == 0 || slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return !await.IsDone(&pod) }) {
		return false
	}
	states, err := a.states()
	return err == nil && areFinal(states)
}

// states are those of the tasks by their ids, as the metadata database has them.
func (a *installation) states() (map[string]string, error) {
	rows, err := a.query("SELECT task_id || ' ' || coalesce(state, '') FROM task_instance")
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for row := range strings.Lines(rows) {
		task, state, _ := strings.Cut(strings.TrimSpace(row), " ")
		states[task] = state
	}
	return states, nil
}

// query asks the metadata database.
func (a *installation) query(statement string) (string, error) {
	return a.inDatabase("psql", "--no-align", "--tuples-only", "--command", statement)
}

// inDatabase runs a client in the pod of the metadata database.
func (a *installation) inDatabase(client string, arguments ...string) (string, error) {
	pods, err := a.pods(a.Ctx, "app=airflow-database")
	if err != nil {
		return "", err
	}
	if len(pods) != 1 {
		return "", fmt.Errorf("there are %d databases", len(pods))
	}
	command := []string{client, "--host", "/tmp", "--username", "airflow", "--dbname", "postgres"}
	return a.TryExec(pods[0].Name, append(command, arguments...)...)
}

// areFinal holds for states that none of the tasks leaves any more.
func areFinal(states map[string]string) bool {
	for _, state := range states {
		if !slices.Contains([]string{"success", "failed", "upstream_failed", "skipped"}, state) {
			return false
		}
	}
	return len(states) > 0
}

// awaitStates returns the states once they are final.
func (a *installation) awaitStates() (states map[string]string) {
	a.Helper()
	require.NoError(a, await.Until(a.Ctx, func() bool {
		found, err := a.states()
		states = found
		return err == nil && areFinal(found)
	}), "%v", states)
	return states
}

// explain says what Airflow and the cluster said, if the test failed.
func (a *installation) explain() {
	if !a.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	logs, err := a.logs(ctx, "")
	if err != nil {
		a.Logf("some logs cannot be had: %v", err)
	}
	for container, log := range logs {
		lines := strings.Split(strings.TrimSpace(log), "\n")
		a.Logf("log of %s:\n%s", container, strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
	a.TellEvents(ctx)
}
