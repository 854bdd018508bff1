package suite

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
)

// The container's image has nothing but a shell: the agent comes by an init container.
func TestEnvironmentIsRight(t *testing.T) {
	s := begin(t)
	wants := all()
	wants["connections"] = "warehouse"
	s.Run(withAgent(task("task", wants, "exec "+agentPath+" exec -- sleep 3600")), await.IsReady)
	variables := s.product.entries.variables
	assert.Equal(t, map[string]string{
		"AIRFLOW_CONN_WAREHOUSE": s.product.entries.warehouse(),
		"AIRFLOW_VAR_REGION":     variables["region"],
		"AIRFLOW_VAR_BATCH.SIZE": variables["batch.size"],
		"AIRFLOW_VAR_ROTATING":   variables["rotating"],
	}, s.environment("task"))
	assert.Equal(t, "", s.Exec("task", "sh", "-c", "pidof agent || :"), "no process of the agent remains")
	assert.Equal(t, s.product.entries.warehouse(), s.read("task", "connections/warehouse"))
}

func TestInitAndMainContainerShareTheVolume(t *testing.T) {
	s := begin(t)
	pod := withMemory(task("task", attributes{"variables": "region"}, "cmp /seen/region "+mountPath+"/variables/region; "+stays))
	init := pod.Spec.Containers[0]
	init.Name = "init"
	init.Command = []string{"/bin/sh", "-ec", "cp " + mountPath + "/variables/region /seen"}
	pod.Spec.InitContainers = []corev1.Container{init}
	s.Run(pod, await.IsReady)
	assert.Equal(t, s.product.entries.variables["region"], s.Exec("task", "cat", "/seen/region"))
	assert.Equal(t, s.product.entries.variables["region"], s.read("task", "variables/region"))
}
