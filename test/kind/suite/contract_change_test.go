package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
)

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
