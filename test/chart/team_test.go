package chart

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

const teams = `{referenceCore: {jwtKeySecretName: jwt, deny: [{connections: [leaked]}], teams: [
	{name: payments, namespaces: [payments, "payments-*"], secretName: payments-entries, rulesConfigMapName: payments-rules},
	{name: audit, tenants: [audit]}]}}`

// A team's own objects stand in the folders that core reads, and none of them has to be there for
// core to start.
func TestTeamsHaveTheirFolders(t *testing.T) {
	files := mustRender(t, newest, readValues(t, teams))
	core := find[*appsv1.Deployment](t, files, "Deployment", "-core").Spec.Template.Spec
	assert.Subset(t, core.Containers[0].Args, []string{"--rules=/etc/leoflow/rules", "--entries=/etc/leoflow/teams", "--events"})
	volumes := map[string]*corev1.ProjectedVolumeSource{}
	for _, volume := range core.Volumes {
		volumes[volume.Name] = volume.Projected
	}
	require.Len(t, volumes["rules"].Sources, 2)
	rules := volumes["rules"].Sources[1].ConfigMap
	assert.Equal(t, "payments/rules.yaml", rules.Items[0].Path)
	assert.True(t, *rules.Optional)
	require.Len(t, volumes["teams"].Sources, 1, "a team without a Secret has no entries")
	entries := volumes["teams"].Sources[0].Secret
	assert.Equal(t, "payments/connections.json", entries.Items[0].Path)
	assert.True(t, *entries.Optional)

	var admin struct {
		Teams []struct {
			Name       string
			Namespaces []string
			Tenants    []string
			Sources    *[]string
		}
		Deny []map[string][]string
	}
	require.NoError(t, yaml.UnmarshalStrict([]byte(find[*corev1.ConfigMap](t, files, "ConfigMap", "-core-rules").Data["admin.yaml"]), &struct {
		Rules []any
		Teams any
		Deny  any
	}{}))
	require.NoError(t, yaml.Unmarshal([]byte(find[*corev1.ConfigMap](t, files, "ConfigMap", "-core-rules").Data["admin.yaml"]), &admin))
	assert.Equal(t, []string{"payments", "payments-*"}, admin.Teams[0].Namespaces)
	assert.Nil(t, admin.Teams[0].Sources)
	assert.Equal(t, []string{"audit"}, admin.Teams[1].Tenants)
	assert.Empty(t, *admin.Teams[1].Sources)
	assert.Equal(t, []map[string][]string{{"connections": {"leaked"}}}, admin.Deny)
}

func TestCoreWritesEventsForTeamsAlone(t *testing.T) {
	events := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}}
	find := func(values map[string]any) []rbacv1.PolicyRule {
		return find[*rbacv1.ClusterRole](t, mustRender(t, newest, values), "ClusterRole", "-core-secrets").Rules
	}
	assert.Contains(t, find(readValues(t, teams)), events)
	assert.NotContains(t, find(nil), events)
}
