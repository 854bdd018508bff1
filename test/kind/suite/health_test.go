package suite

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
)

// What NOTES.txt tells an admin to do first.
func TestHelmTestProvesADelivery(t *testing.T) {
	s := begin(t)
	said, err := chart.Helm(s.Ctx, nil, "test", chart.Name, "--namespace", chart.Namespace, "--logs", "--timeout", chart.Patience.String())
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^Phase: +Succeeded$`, said)
	for _, delivered := range []string{"AIRFLOW_CONN_WAREHOUSE", "AIRFLOW_VAR_REGION"} {
		assert.Regexp(t, `(?m)^`+delivered+` +delivered `, said)
	}
	for needle, where := range s.product.entries.needles {
		assert.NotContains(t, said, needle, where)
	}
}

// What docs/troubleshooting.md tells an admin to do first.
func TestDoctorExaminesTheNode(t *testing.T) {
	s := begin(t)
	n := s.on(s.Run(task("task", all(), stays), await.IsReady))
	inDriver := *s.Cluster
	inDriver.Namespace = chart.Namespace
	driver := n.driver().Name
	said := inDriver.Exec(driver, "/driver", "doctor")
	assert.NotRegexp(t, `(?m)^failed`, said)
	assert.Regexp(t, `(?m)^ok +core:`, said)
	assert.Regexp(t, `(?m)^ok +kubelet registration:`, said)
	t.Logf("\n%s", said)

	s.withoutCore()
	said, err := inDriver.TryExec(driver, "/driver", "doctor")
	assert.ErrorContains(t, err, "exit code 1")
	assert.Regexp(t, `(?m)^failed +core:`, said)
}
