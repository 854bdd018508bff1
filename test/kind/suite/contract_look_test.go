package suite

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/needle"
)

// look is at what is delivered to pods that may have it.
func (c *contract) look() {
	c.Helper()
	files := func(form string) func(deliverer, *corev1.Pod) string {
		script := `cd ` + mountPath + ` && g=$(readlink ..data) && find . -mindepth 1 -exec ` + form + ` {} \; | sed "s/$g/GENERATION/g" | sort`
		return func(_ deliverer, pod *corev1.Pod) string { return c.Exec(pod.Name, "/bin/sh", "-ec", script) }
	}
	c.ask("names and modes", "task", files(`stat -c "%n %A"`))
	c.ask("values", "task", func(_ deliverer, pod *corev1.Pod) string {
		assert.Equal(c, c.product.entries.warehouse(), c.read(pod.Name, "connections/warehouse"))
		return c.Exec(pod.Name, "/bin/sh", "-ec", `cd `+mountPath+`/..data && find . -type f ! -name manifest.json -exec sha256sum {} + | sort -k 2`)
	})
	c.ask("the manifest", "task", func(_ deliverer, pod *corev1.Pod) string {
		var all map[string]any
		require.NoError(c, json.Unmarshal([]byte(c.read(pod.Name, "manifest.json")), &all))
		delete(all, "fetched")
		text, err := json.MarshalIndent(all, "", " ")
		require.NoError(c, err)
		return string(text)
	})
	c.ask("the environment", "task", func(_ deliverer, pod *corev1.Pod) string {
		out := c.Exec(pod.Name, agentPath, "exec", "--", "/bin/sh", "-c", "env | grep ^AIRFLOW | sort")
		assert.Contains(c, out, "AIRFLOW_VAR_REGION="+c.product.entries.variables["region"])
		return out
	})
	c.ask("files belong to", "task", func(_ deliverer, pod *corev1.Pod) string {
		users := map[string]string{"0": "root", fmt.Sprint(*pod.Spec.SecurityContext.RunAsUser): "the sidecar's user"}
		of := strings.Fields(c.Exec(pod.Name, "stat", "-L", "-c", "%u %g", mountPath+"/variables/region"))
		assert.Equal(c, fmt.Sprint(*pod.Spec.SecurityContext.FSGroup), of[1], "the pod's fsGroup")
		return users[of[0]] + ", and the pod's `fsGroup`"
	})
	c.ask("the file system", "task", func(_ deliverer, pod *corev1.Pod) string {
		return strings.Fields(c.Exec(pod.Name, "grep", " "+mountPath+" ", "/proc/mounts"))[2]
	})
	c.ask("swap", "task", func(_ deliverer, pod *corev1.Pod) string {
		options := strings.Fields(c.Exec(pod.Name, "grep", " "+mountPath+" ", "/proc/mounts"))[3]
		c.Logf("%s: %s", pod.Name, options)
		return fmt.Sprint("without: ", slices.Contains(strings.Split(options, ","), "noswap"))
	})
	c.ask("the container may write there", "writes", func(_ deliverer, pod *corev1.Pod) string {
		if _, err := c.TryExec(pod.Name, "touch", mountPath+"/..2000"); err == nil {
			c.Exec(pod.Name, "rm", mountPath+"/..2000")
			return "if it mounts the directory without `readOnly: true`"
		}
		return "never"
	})
	c.ask("read-only as the document mounts it", "task", func(_ deliverer, pod *corev1.Pod) string {
		_, err := c.TryExec(pod.Name, "touch", mountPath+"/new")
		assert.ErrorContains(c, err, "Read-only file system")
		return "yes"
	})
	c.ask("who asks for a pod", "task", func(_ deliverer, pod *corev1.Pod) string {
		own := c.node.shell(`for process in /proc/[0-9]*; do
			if [ "$(cat $process/comm)" = fetcher ] && grep -qE '` + uidOf(pod) + `' $process/cgroup; then awk '$1 == "VmRSS:" {print $2}' $process/status; fi
		done 2>/dev/null`)
		if own == "" {
			return "its node's fetcher, for all pods at once"
		}
		kib, err := strconv.Atoi(strings.TrimSpace(own))
		require.NoError(c, err)
		c.Logf("the sidecar has %.1f MiB resident", float64(kib)/1024)
		assert.LessOrEqual(c, kib, 30<<10)
		return "a process of its own, with a connection to core of its own"
	})
}

// refuse is about pods that do not start.
func (c *contract) refuse() {
	c.Helper()
	c.ask("what a denied pod is told", "denied", func(d deliverer, pod *corev1.Pod) string {
		return d.why(pod.Name, `connection "payroll" is denied to service account `+c.Namespace+`/direct by core`)
	})
	c.ask("what a pod is told that asks for what is not there", "missing", func(d deliverer, pod *corev1.Pod) string {
		return d.why(pod.Name, `connection "ghost" does not exist in core`)
	})
	c.ask("a pod that is refused", "denied", func(_ deliverer, pod *corev1.Pod) string {
		is := c.Await(pod.Name, func(pod *corev1.Pod) bool {
			return len(pod.Status.ContainerStatuses) > 0 && (pod.Spec.InitContainers == nil || sidecarOf(pod).State.Waiting != nil)
		})
		assert.Equal(c, corev1.PodPending, is.Status.Phase)
		if sidecarOf(is).LastTerminationState.Terminated != nil {
			assert.EqualValues(c, 3, sidecarOf(is).LastTerminationState.Terminated.ExitCode)
			return "its sidecar ends with `3` and is started again, later and later"
		}
		assert.Equal(c, "ContainerCreating", is.Status.ContainerStatuses[0].State.Waiting.Reason)
		return "waits in `ContainerCreating`"
	})
	c.ask("why is said by", "denied", func(_ deliverer, pod *corev1.Pod) string {
		events, err := c.Client.CoreV1().Events(c.Namespace).List(c.Ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod.Name})
		require.NoError(c, err)
		if slices.ContainsFunc(events.Items, func(event corev1.Event) bool { return event.ReportingController == "leoflow-secrets-csi" }) {
			return "events on the pod"
		}
		return "the pod's status, kubelet's event of the failed probe, and the sidecar's log"
	})
	c.ask("core serves it by", "other", func(d deliverer, pod *corev1.Pod) string {
		if strings.HasPrefix(pod.Name, "into-") {
			d.why(pod.Name, "no rule lets this caller read it without a driver between")
			return "rules with `direct: true`"
		}
		c.Await(pod.Name, await.IsReady)
		return "any rule"
	})
	c.ask("`--offline-grace` in an outage", "denied", func(d deliverer, _ *corev1.Pod) string {
		if _, isDriver := d.(ontoVolume); isDriver {
			for _, container := range c.node.driver().Spec.Containers {
				if slices.ContainsFunc(container.Args, func(argument string) bool { return strings.HasPrefix(argument, "--offline-grace=") }) {
					return "may serve new pods"
				}
			}
		}
		pod := d.pod("grace", attributes{"variables": "region", "offline-grace": "1m"}, stays)
		c.Create(pod)
		d.why(pod.Name, "--offline-grace are for the pods of a node")
		return "is refused: new pods wait"
	})
}

// search is for values where none belongs.
func (c *contract) search(control string) {
	c.Helper()
	needles := maps.Clone(c.product.entries.needles)
	needles[control] = "control"
	found := map[string][]string{}
	c.searchAPI(needles, found)
	needle.Search("argument lists", []byte(c.node.shell(`cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' '`)), needles, found)
	logs := c.logOf("driver") + c.logOf("core") + c.Logs(c.of(c.both[0], "task").Name)
	for _, pod := range c.pods {
		if strings.HasPrefix(pod.Name, "into-") {
			logs += intoDirectory{c.place}.log(pod)
		}
	}
	needle.Search("logs", []byte(logs), needles, found)
	assert.ElementsMatch(c, []string{"pods", "argument lists", "logs"}, found["control"], "the search finds what is there")
	delete(found, "control")
	assert.Empty(c, found)
}

// uidOf matches the pod's, as cgroupfs and as systemd write it.
func uidOf(pod *corev1.Pod) string {
	return regexp.QuoteMeta(string(pod.UID)) + "|" + regexp.QuoteMeta(strings.ReplaceAll(string(pod.UID), "-", "_"))
}
