package suite

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/leoflow/secrets-csi/test/kind/await"
)

// A sidecar that the kernel kills for want of memory leaves what stands, and goes on when it starts again.
func TestASidecarIsKilledForWantOfMemory(t *testing.T) {
	c := beginContract(t)
	d := intoDirectory{c.place}
	pod := d.pod("small", attributes{"connections": "warehouse", "variables": "rotating"}, seeing)
	pod.Spec.InitContainers[0].Resources = corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("48Mi")}}
	pod = c.Run(pod, await.IsReady)
	was := *pod
	_, id, _ := strings.Cut(sidecarOf(pod).ContainerID, "://")
	// What a process of the sidecar's group writes to a tmpfs counts as the sidecar's, as its own files do.
	c.node.shell(`groups=$(find ` + rootOfNode + `/sys/fs/cgroup -path '*` + id + `*' -name cgroup.procs)
		[ -n "$groups" ]
		( for group in $groups; do echo 0 >$group || :; done
		  dd if=/dev/zero of=/dev/shm/filler bs=1M count=60 ) >/dev/null 2>&1 </dev/null || :
		rm -f /dev/shm/filler`)
	d.back(&was)
	is := c.Await(pod.Name, await.IsReady)
	assert.Equal(t, "OOMKilled", sidecarOf(is).LastTerminationState.Terminated.Reason)
	assert.Equal(t, c.product.entries.warehouse(), c.read(pod.Name, "connections/warehouse"))
	variable, _ := c.rotate()
	began := time.Now()
	c.awaitVariable(pod.Name, variable)
	t.Logf("the rotation was seen %v after core was given it", time.Since(began).Round(time.Millisecond))
	assert.Equal(t, "", c.Exec(pod.Name, "sh", "-c", "cat /seen/gaps 2>/dev/null || :"), "no file was ever gone")
	assert.Zero(t, restarts(is.Status.ContainerStatuses))
}
