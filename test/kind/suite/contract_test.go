package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
	"github.com/leoflow/secrets-csi/test/kind/needle"
)

// contract is what both deliverers are held to: each question is asked of either, by the same code, and what is
// answered differently has to stand in the document's table in the words of the answers.
type contract struct {
	place
	both      []deliverer
	pods      map[string]*corev1.Pod
	different map[string][2]string
}

// beginContract has a namespace that admits no rights, with core's CA and the account, and looks at one node.
func beginContract(t *testing.T) *contract {
	t.Helper()
	labels := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	s := beginIn(t, clustertest.Space{Labels: labels, Patience: patience})
	s.account(direct)
	ca, err := s.Client.CoreV1().ConfigMaps(chart.Namespace).Get(s.Ctx, chart.CoreName+"-ca", metav1.GetOptions{})
	require.NoError(t, err)
	_, err = s.Client.CoreV1().ConfigMaps(s.Namespace).Create(s.Ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: ca.Name}, Data: ca.Data}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, workers := s.nodes()
	where := place{s, begin(t).onNode(workers[0])}
	return &contract{
		place: where, both: []deliverer{ontoVolume{where}, intoDirectory{where}},
		pods: map[string]*corev1.Pod{}, different: map[string][2]string{},
	}
}

// start creates the pod for both, and does not wait.
func (c *contract) start(name string, wants attributes, script string, change func(*corev1.Pod)) {
	c.Helper()
	for _, d := range c.both {
		pod := d.pod(name, wants, script)
		if change != nil {
			change(pod)
		}
		c.pods[pod.Name] = c.Create(pod)
	}
}

// of is that pod of the deliverer's.
func (c *contract) of(d deliverer, name string) *corev1.Pod {
	c.Helper()
	pod := c.pods[d.pod(name, nil, "").Name]
	require.NotNil(c, pod, name)
	return pod
}

// ready waits for the pods of both.
func (c *contract) ready(names ...string) {
	c.Helper()
	for _, name := range names {
		for _, d := range c.both {
			c.Await(c.of(d, name).Name, await.IsReady)
		}
	}
}

// ask asks both about their pod of that name.
func (c *contract) ask(question, name string, answer func(d deliverer, pod *corev1.Pod) string) {
	c.Helper()
	var answers [2]string
	began := time.Now()
	for i, d := range c.both {
		answers[i] = answer(d, c.of(d, name))
	}
	if took := time.Since(began); took > time.Second {
		c.Logf("%s: answered after %v", question, took.Round(100*time.Millisecond))
	}
	if answers[0] != answers[1] {
		c.Logf("%s: %q, and %q", question, answers[0], answers[1])
		c.different[question] = answers
	}
}

// table is that of the document, by its first column.
func (c *contract) table() map[string][2]string {
	c.Helper()
	_, text, found := strings.Cut(c.documentOf(), "| | driver and volume | `fetcher --into` |\n|---|---|---|\n")
	require.True(c, found, "the table is where it was")
	rows := map[string][2]string{}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 {
			break
		}
		rows[strings.TrimSpace(cells[1])] = [2]string{strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])}
	}
	return rows
}

// All that a pod can notice, over both deliverers on a real kubelet, at once and by the same code.
func TestBothDeliverersKeepOneContract(t *testing.T) {
	c := beginContract(t)
	wants := attributes{"connections": "warehouse, rotating, reporting, payroll?, ghost?", "variables": "region, rotating"}
	few := attributes{"connections": "reporting", "variables": "region"}
	const control = "needleThatTheSearchMustFind"
	c.start("task", wants, "echo "+control+"\n"+seeing, func(pod *corev1.Pod) { withUnprivilegedAgent(pod) })
	c.start("second", wants, seeing, nil)
	c.start("writes", few, stays, func(pod *corev1.Pod) {
		mounts := pod.Spec.Containers[0].VolumeMounts
		mounts[len(mounts)-1].ReadOnly = false
	})
	c.start("denied", attributes{"connections": "warehouse, payroll"}, stays, nil)
	c.start("missing", attributes{"connections": "ghost"}, stays, nil)
	c.start("other", attributes{"variables": "region"}, stays, func(pod *corev1.Pod) { pod.Spec.ServiceAccountName = "default" })
	c.ready("task", "second", "writes")

	began := time.Now()
	step := func(done string) {
		t.Logf("%s after %v", done, time.Since(began).Round(100*time.Millisecond))
	}
	step("ready")
	c.look()
	c.refuse()
	step("refused")
	served := map[string]bool{hash(c.product.entries.variables["rotating"]): true}
	c.rotateAndRevoke(served)
	step("rotated")
	c.goWithoutCore(served)
	step("without core")
	c.kill(served)
	step("killed")
	c.search(control)
	step("searched")
	c.end()
	step("ended")
	assert.Equal(t, c.table(), c.different, "docs/without-driver.md lists what differs, and nothing else")
}

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

// rotateAndRevoke changes what core has of entries that pods show.
func (c *contract) rotateAndRevoke(served map[string]bool) {
	c.Helper()
	shows := func(what string, isSo func(pod *corev1.Pod) bool) {
		c.Helper()
		for _, name := range []string{"task", "second"} {
			c.ask(what, name, func(_ deliverer, pod *corev1.Pod) string {
				require.NoError(c, await.Until(c.Ctx, func() bool { return isSo(pod) }), what+" "+pod.Name)
				return "seen"
			})
		}
	}
	variable, connection := c.rotate()
	served[hash(variable)] = true
	shows("a rotation", func(pod *corev1.Pod) bool { return c.read(pod.Name, "variables/rotating") == variable })
	c.ask("one generation has both", "task", func(_ deliverer, pod *corev1.Pod) string {
		assert.Equal(c, connection, c.read(pod.Name, "connections/rotating"))
		return "yes"
	})

	// The core that is there now was asked for that.
	c.ask("the token is bound to", "task", func(_ deliverer, pod *corev1.Pod) string {
		var told string
		require.NoError(c, await.Until(c.Ctx, func() bool {
			for line := range strings.Lines(c.logOf("core")) {
				if strings.Contains(line, string(pod.UID)) && strings.Contains(line, `"entry":"warehouse"`) {
					told = line
				}
			}
			return told != ""
		}))
		if strings.Contains(told, `"direct":true`) {
			return "its pod, as long as Kubernetes has that"
		}
		assert.Contains(c, told, `"driver_node":"`+c.node.name+`"`)
		return "its pod and its node"
	})

	// A container that may write fills the file system up before something is to be taken out of it.
	for _, d := range c.both {
		_, _ = c.TryExec(c.of(d, "writes").Name, "dd", "if=/dev/zero", "of="+mountPath+"/filler", "bs=4k")
	}
	restore := c.revoke("reporting")
	defer restore()
	withdrawn := func(pod *corev1.Pod) bool {
		_, err := c.TryExec(pod.Name, "test", "-e", mountPath+"/connections/reporting")
		return err != nil
	}
	shows("a revocation", withdrawn)
	c.ask("room for a withdrawal", "writes", func(d deliverer, pod *corev1.Pod) string {
		answer := ""
		require.NoError(c, await.Until(c.Ctx, func() bool {
			switch {
			case withdrawn(pod):
				answer = "always"
			case strings.Contains(d.log(pod), "entries were taken away and still stand in the files"):
				answer = "as much as the directory's file system has"
			}
			return answer != ""
		}))
		_, _ = c.TryExec(pod.Name, "rm", mountPath+"/filler")
		require.NoError(c, await.Until(c.Ctx, func() bool { return withdrawn(pod) }))
		return answer
	})
	c.ask("what the manifest says of it", "task", func(_ deliverer, pod *corev1.Pod) string { return c.stateOf(pod, "reporting") })
	restore()
	shows("what is given again", func(pod *corev1.Pod) bool { return !withdrawn(pod) })

	broken := c.product.entries.all()
	broken.Connections["rotating"] = map[string]any{"conn_type": "aws", "extra": map[string]any{"key_secret_name": c.product.entries.needle("reference of rotating")}}
	require.NoError(c, c.product.Store(c.Ctx, broken))
	shows("what is broken is held", func(pod *corev1.Pod) bool { return c.stateOf(pod, "rotating") != "delivered " })
	c.ask("what the manifest says of what is held", "task", func(_ deliverer, pod *corev1.Pod) string { return c.stateOf(pod, "rotating") })
	c.ask("what is held is as it was", "task", func(_ deliverer, pod *corev1.Pod) string {
		assert.Equal(c, connection, c.read(pod.Name, "connections/rotating"))
		return "yes"
	})
}

// revoke takes a connection out of the account's rule, until the returned function or the end of the test.
func (c *contract) revoke(id string) (restore func()) {
	c.Helper()
	changed := slices.Clone(rules)
	for i, rule := range changed {
		if rule["direct"] == true {
			changed[i] = maps.Clone(rule)
			changed[i]["connections"] = slices.DeleteFunc(slices.Clone(rule["connections"].([]string)), func(one string) bool { return one == id })
		}
	}
	require.NoError(c, c.product.StoreRules(c.Ctx, changed))
	return func() { assert.NoError(c, c.product.StoreRules(context.WithoutCancel(c.Ctx), rules)) }
}

// stateOf is the manifest's line of a connection, without times.
func (c *contract) stateOf(pod *corev1.Pod, id string) string {
	c.Helper()
	var all struct {
		Entries []struct {
			ID, Kind, State string
			Held            struct{ Why string }
		}
	}
	require.NoError(c, json.Unmarshal([]byte(c.read(pod.Name, "manifest.json")), &all))
	for _, one := range all.Entries {
		if one.ID == id && one.Kind == "connection" {
			return one.State + " " + one.Held.Why
		}
	}
	return ""
}

// goWithoutCore is an outage: what runs keeps its files, and what starts waits.
func (c *contract) goWithoutCore(served map[string]bool) {
	c.Helper()
	back := c.withoutCore()
	c.start("away", attributes{"variables": "region, rotating"}, stays, nil)
	c.ask("what a pod is told that waits for core", "away", func(d deliverer, pod *corev1.Pod) string {
		words, _, _ := strings.Cut(d.why(pod.Name, "core cannot be asked now"), ":")
		return words
	})
	c.ask("files in an outage", "task", func(_ deliverer, pod *corev1.Pod) string {
		return hash(c.read(pod.Name, "connections/warehouse"))
	})
	variable, _ := c.product.entries.rotate()
	served[hash(variable)] = true
	require.NoError(c, c.product.Store(c.Ctx, c.product.entries.all()))
	back()
	c.ready("away")
	for _, name := range []string{"away", "task"} {
		c.ask("after an outage", name, func(_ deliverer, pod *corev1.Pod) string {
			c.awaitVariable(pod.Name, variable)
			return "seen"
		})
	}
}

// kill is about deliverers that are killed while a value rotates: at once after core was given it, and once a
// pod shows it.
func (c *contract) kill(served map[string]bool) {
	c.Helper()
	for round := range 2 {
		variable, connection := c.rotate()
		served[hash(variable)] = true
		if round > 0 {
			c.awaitVariable(c.of(c.both[1], "second").Name, variable)
		}
		var backs []func()
		for _, d := range c.both {
			backs = append(backs, d.kill(c.of(d, "task")))
		}
		for _, back := range backs {
			back()
		}
		c.ask("after a kill", "task", func(_ deliverer, pod *corev1.Pod) string {
			c.change(pod.Name) // or within a minute
			c.awaitVariable(pod.Name, variable)
			assert.Equal(c, connection, c.read(pod.Name, "connections/rotating"), "one generation has both")
			left := c.Exec(pod.Name, "/bin/sh", "-c", "ls -d "+mountPath+"/..2* | wc -l")
			return strings.TrimSpace(left) + " generation is there"
		})
	}
	for _, name := range []string{"task", "second"} {
		c.ask("what a pod saw meanwhile", name, func(_ deliverer, pod *corev1.Pod) string {
			for seen := range strings.FieldsSeq(c.Exec(pod.Name, "cat", "/seen/values")) {
				assert.True(c, served[seen], "%s saw a value that core never had: %s; that of nothing is %s", pod.Name, seen, hash(""))
			}
			assert.Zero(c, restarts(c.Await(pod.Name, await.IsReady).Status.ContainerStatuses))
			return "no file gone" + c.Exec(pod.Name, "sh", "-c", "cat /seen/gaps 2>/dev/null || :")
		})
	}
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

// end is that of a pod whose file somebody else has open.
func (c *contract) end() {
	c.Helper()
	c.ask("who has a file open when its pod ends", "second", func(_ deliverer, pod *corev1.Pod) string {
		open := c.node.inProcess(pod, "sh", `setsid sh -c "exec 3<$process/root`+mountPath+`/connections/warehouse && : >/tmp/`+pod.Name+`.open
			until [ -e /tmp/`+pod.Name+` ]; do sleep 0.1; done
			wc -c <&3 >/tmp/`+pod.Name+`.read" </dev/null >/dev/null 2>&1 &
			until [ -e /tmp/`+pod.Name+`.open ]; do sleep 0.1; done; echo opened`)
		require.Contains(c, open, "opened")
		return "the same"
	})
	stolen := c.node.shell("cat " + rootOfNode + "/var/lib/kubelet/pods/" + string(c.of(c.both[1], "second").UID) + "/volumes/kubernetes.io~projected/core/token")
	for _, d := range c.both {
		require.NoError(c, c.Client.CoreV1().Pods(c.Namespace).Delete(c.Ctx, c.of(d, "second").Name, metav1.DeleteOptions{}))
	}
	c.ask("after the last container", "second", func(_ deliverer, pod *corev1.Pod) string {
		c.node.awaitNothing([]string{string(pod.UID)})
		c.node.shell("touch /tmp/" + pod.Name)
		read := c.node.shell(`until [ -s /tmp/` + pod.Name + `.read ]; do sleep 0.1; done; cat /tmp/` + pod.Name + `.read`)
		c.Logf("%s: %s bytes", pod.Name, strings.TrimSpace(read))
		if strings.TrimSpace(read) == "0" {
			return "the driver empties the files"
		}
		return "the emptyDir goes with the pod"
	})
	c.steal(strings.TrimSpace(stolen))
}

// steal shows core the token of a pod that has ended, from another pod. For seconds it is what Kubernetes said of it before.
func (c *contract) steal(token string) {
	c.Helper()
	ca, err := c.Client.CoreV1().ConfigMaps(c.Namespace).Get(c.Ctx, chart.CoreName+"-ca", metav1.GetOptions{})
	require.NoError(c, err)
	_, err = c.Client.CoreV1().Secrets(c.Namespace).Create(c.Ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "stolen"}, StringData: map[string]string{"token": token, "ca.crt": ca.Data["ca.crt"]},
	}, metav1.CreateOptions{})
	require.NoError(c, err)
	refused := false
	for i := 0; !refused; i++ {
		pod := intoDirectory{c.place}.pod(fmt.Sprint("thief-", i), attributes{"variables": "region"}, stays)
		for j := range pod.Spec.Volumes {
			if pod.Spec.Volumes[j].Name == "core" {
				pod.Spec.Volumes[j].VolumeSource = corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "stolen"}}
			}
		}
		is := c.Run(pod, func(pod *corev1.Pod) bool {
			return await.IsReady(pod) || sidecarOf(pod).State.Terminated != nil || sidecarOf(pod).LastTerminationState.Terminated != nil
		})
		refused = !await.IsReady(is)
		if refused {
			c.Logf("thief %d: %s", i, intoDirectory{c.place}.why(pod.Name, "core refused the token of service account "+c.Namespace+"/direct"))
		}
	}
}

// uidOf matches the pod's, as cgroupfs and as systemd write it.
func uidOf(pod *corev1.Pod) string {
	return regexp.QuoteMeta(string(pod.UID)) + "|" + regexp.QuoteMeta(strings.ReplaceAll(string(pod.UID), "-", "_"))
}

// withUnprivilegedAgent is withAgent in a namespace that admits no rights.
func withUnprivilegedAgent(pod *corev1.Pod) {
	withAgent(pod)
	pod.Spec.InitContainers[0].SecurityContext = pod.Spec.Containers[0].SecurityContext
}

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
