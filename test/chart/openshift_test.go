package chart

import (
	"testing"

	"github.com/stretchr/testify/assert"
	rbacv1 "k8s.io/api/rbac/v1"
)

// OpenShift picks a user for a pod whose service account has no role to say otherwise, and
// refuses one that names its own.
func TestOpenShiftAdmitsThePods(t *testing.T) {
	files := mustRender(t, sets["openshift"], setValues(t, "openshift"))
	for _, row := range []struct{ binding, role, account string }{
		{"-privileged", "system:openshift:scc:privileged", "leoflow-driver"},
		{"-nonroot", "system:openshift:scc:nonroot-v2", "leoflow-core"},
	} {
		binding := find[*rbacv1.RoleBinding](t, files, "RoleBinding", row.binding)
		assert.Equal(t, row.role, binding.RoleRef.Name)
		assert.Equal(t, row.account, binding.Subjects[0].Name)
	}
}
