package chart

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// Values with connections and rules of their own are merged with the chart's, whose test they
// leave as it is: README's once did so, and 'helm test' failed after two minutes.
func TestWhatTheTestAsksForIsAllowedOrRefused(t *testing.T) {
	const own = `referenceCore: {connections: {warehouse: "postgres://h"}, rules: [{namespaces: [default, "leo*"], serviceAccounts: [default], connections: ["ware*", payroll]}]}`
	in := cluster{kubernetes: newest.kubernetes, namespace: "leoflow"}
	for test, message := range map[string]string{
		"":                                  `test.connections: no rule of referenceCore.rules lets service account leoflow/default`,
		`{connections: warehouse}`:          `test.variables: no rule of referenceCore.rules lets service account leoflow/default`,
		`{connections: payroll}`:            `test.connections: "payroll" is not in referenceCore.connections; name one that is`,
		`{connections: "warehouse, other"}`: `read "other"`,
		`{connections: warehouse, variables: ""}`:                      "",
		`{connections: "*, other?, payroll@vault", variables: "any?"}`: "",
		`{connections: "", variables: ""}`:                             "",
	} {
		values := own
		if test != "" {
			values += "\ntest: " + test
		}
		_, err := render(t, in, readValues(t, values))
		if message == "" {
			assert.NoError(t, err, test)
			continue
		}
		assert.ErrorContains(t, err, message, test)
	}
}

// What is denied wins over every rule. It is told and not refused: what has to be taken away waits for nobody.
func TestNotesWarnOfATestThatIsDenied(t *testing.T) {
	for deny, warning := range map[string]string{
		`{connections: [leoflow_trial]}`: `keeps "leoflow_trial" of test.connections from it`,
		`{variables: ["leo*"]}`:          `keeps "leoflow_trial" of test.variables from it`,
		`{namespaces: ["sec*"], serviceAccounts: [default], connections: ["*"]}, {connections: ["*"], variables: ["*"]}`: `keeps "leoflow_trial" of test.connections, "leoflow_trial" of test.variables from it`,
		`{namespaces: [sandbox], serviceAccounts: ["*"], connections: ["*"]}`:                                            "",
		`{namespaces: ["*"], serviceAccounts: [worker], variables: ["*"]}`:                                               "",
		`{tenants: [acme], dags: ["*"], connections: ["*"], variables: [leoflow_trial]}`:                                 "",
		`{connections: [leaked_db], variables: ["prod_*"]}`:                                                              "",
	} {
		notes := mustRender(t, newest, readValues(t, "referenceCore: {jwtKeySecretName: key, deny: ["+deny+"]}"))["leoflow-secrets-csi/templates/NOTES.txt"]
		assert.Equal(t, warning != "", strings.Contains(notes, "WARNING: it will fail: referenceCore.deny "), deny)
		assert.Contains(t, notes, warning, deny)
	}
}

// The hooks run as nobody, and each may do one thing, as long as it runs.
func TestHooksMayDoWhatTheyAreForAndNoMore(t *testing.T) {
	for _, row := range []struct {
		name, events, arg string
		rule              rbacv1.PolicyRule
	}{
		{"-rollout", "post-install,post-upgrade,post-rollback", "await-rollout",
			rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"daemonsets"}, ResourceNames: []string{"leoflow-driver"}, Verbs: []string{"get"}}},
		{"-uninstall", "pre-delete", "check-unused",
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}},
	} {
		files := mustRender(t, newest, nil)
		job := find[*batchv1.Job](t, files, "Job", row.name)
		assert.Equal(t, row.events, job.Annotations["helm.sh/hook"])
		assert.Equal(t, "hook-failed", job.Annotations["helm.sh/hook-output-log-policy"])
		assert.Zero(t, *job.Spec.BackoffLimit)
		pod := job.Spec.Template.Spec
		assert.Equal(t, row.arg, pod.Containers[0].Args[0])
		assert.True(t, *pod.SecurityContext.RunAsNonRoot)
		account := find[*corev1.ServiceAccount](t, files, "ServiceAccount", row.name)
		assert.Equal(t, account.Name, pod.ServiceAccountName)
		assert.Contains(t, account.Annotations["helm.sh/hook-delete-policy"], "hook-succeeded")
		var rules []rbacv1.PolicyRule
		if row.name == "-rollout" {
			rules = find[*rbacv1.Role](t, files, "Role", row.name).Rules
		} else {
			rules = find[*rbacv1.ClusterRole](t, files, "ClusterRole", row.name+"-secrets").Rules
		}
		assert.Equal(t, []rbacv1.PolicyRule{row.rule}, rules)
	}
	none := mustRender(t, newest, readValues(t, `hooks: {rollout: false, uninstall: false}`))
	for _, document := range manifests(none) {
		assert.NotContains(t, document, "kind: Job")
		assert.NotContains(t, document, "component: hook")
	}
}

func TestHooksKnowTheirFlags(t *testing.T) {
	_, fetcher, _ := programs(t)
	for _, name := range []string{"-rollout", "-uninstall"} {
		args := find[*batchv1.Job](t, mustRender(t, newest, nil), "Job", name).Spec.Template.Spec.Containers[0].Args
		known := flagsOf(t, fetcher, args[0])
		for _, argument := range args[1:] {
			assert.Contains(t, known, flagName(argument))
		}
	}
}

// With a kubeletRootDir that is wrong kubelet would make what it does not find, and it would
// stay when the mistake is mended.
func TestNothingIsMadeWhereKubeletIsNot(t *testing.T) {
	set := find[*appsv1.DaemonSet](t, mustRender(t, newest, readValues(t, `kubeletRootDir: /no/such`)), "DaemonSet", "-driver")
	paths := 0
	for _, volume := range set.Spec.Template.Spec.Volumes {
		if volume.HostPath != nil {
			require.NotNil(t, volume.HostPath.Type, volume.Name)
			assert.Equal(t, corev1.HostPathDirectory, *volume.HostPath.Type, volume.Name)
			paths++
		}
	}
	assert.Equal(t, 3, paths)
}
