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
	for container, checks := range map[string][]string{"driver": {"kubelet registration", "mount propagation"}, "fetcher": {"core", "readiness"}} {
		said, err := inDriver.TryExecIn(driver, container, "/"+container, "doctor")
		require.NoError(t, err, said)
		assert.NotRegexp(t, `(?m)^failed`, said)
		for _, check := range checks {
			assert.Regexp(t, `(?m)^ok +`+check+`:`, said)
		}
		t.Logf("\n%s", said)
	}

	s.withoutCore()
	said, err := inDriver.TryExecIn(driver, "fetcher", "/fetcher", "doctor")
	assert.ErrorContains(t, err, "exit code 1")
	assert.Regexp(t, `(?m)^failed +core:`, said)
}
