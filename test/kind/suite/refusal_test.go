package suite

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
)

// What a person reads who asks 'kubectl describe pod' why it waits.
func TestEventsSayWhyAPodWaits(t *testing.T) {
	s := begin(t)
	for _, row := range []struct {
		name  string
		wants attributes
		words []string
	}{
		{"denied", attributes{"connections": "warehouse, payroll"}, []string{
			"PermissionDenied", `connection "payroll" is denied to service account ` + s.Namespace + `/default by core`,
		}},
		{"missing", attributes{"connections": "ghost"}, []string{"NotFound", `connection "ghost" does not exist in core`}},
		{"strange", attributes{"connections": "warehouse@elsewhere"}, []string{
			"InvalidArgument", `volumes[].csi.volumeAttributes.connections: item 1: "warehouse@elsewhere": the source "elsewhere" cannot be had here`,
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s.Create(task(row.name, row.wants, stays))
			message := s.event(row.name, row.words...)
			t.Log(message)
			pod := s.Await(row.name, func(*corev1.Pod) bool { return true })
			assert.Equal(t, corev1.PodPending, pod.Status.Phase)
		})
	}
}

func TestOptionalEntriesMayBeAbsent(t *testing.T) {
	s := begin(t)
	s.Run(task("task", attributes{"connections": "warehouse, payroll?, ghost?"}, stays), await.IsReady)
	assert.Equal(t, "warehouse\n", s.Exec("task", "ls", mountPath+"/connections"))
	states := map[string]string{}
	for _, entry := range s.manifest("task").Entries {
		states[entry.ID] = string(entry.State)
	}
	assert.Equal(t, map[string]string{"warehouse": "delivered", "payroll": "denied", "ghost": "missing"}, states)
}

func TestServiceAccountsSeeOnlyTheirOwn(t *testing.T) {
	s := begin(t)
	s.account("reporter")
	as := func(account string, pod *corev1.Pod) *corev1.Pod {
		pod.Spec.ServiceAccountName = account
		return pod
	}
	both := attributes{"connections": "warehouse?, reporting?"}
	s.Create(as("default", task("worker", both, stays)))
	s.Create(as("reporter", task("reporter", both, stays)))
	s.Await("worker", await.IsReady)
	s.Await("reporter", await.IsReady)
	assert.Equal(t, "warehouse\n", s.Exec("worker", "ls", mountPath+"/connections"))
	assert.Equal(t, "reporting\n", s.Exec("reporter", "ls", mountPath+"/connections"))
	everything := attributes{"connections": "*"}
	s.Run(as("reporter", task("everything", everything, stays)), await.IsReady)
	assert.Equal(t, "reporting\n", s.Exec("everything", "ls", mountPath+"/connections"))
}
