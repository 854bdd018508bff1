package envshim

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMerge(t *testing.T) {
	entries := []Entry{variable("region", "north"), variable("my-key.a", "line\nline=")}
	for name, row := range map[string]struct {
		inherited    []string
		keepExisting bool
		environ      []string
		differing    []string
	}{
		"nothing in common": {[]string{"HOME=/"}, false,
			[]string{"HOME=/", "AIRFLOW_VAR_REGION=north", "AIRFLOW_VAR_MY-KEY.A=line\nline="}, nil},
		"an entry replaces every copy": {[]string{"AIRFLOW_VAR_REGION=a", "HOME=/", "AIRFLOW_VAR_REGION=b"}, false,
			[]string{"HOME=/", "AIRFLOW_VAR_REGION=north", "AIRFLOW_VAR_MY-KEY.A=line\nline="}, []string{"AIRFLOW_VAR_REGION"}},
		"the inherited one is kept": {[]string{"AIRFLOW_VAR_REGION=a", "HOME=/"}, true,
			[]string{"AIRFLOW_VAR_REGION=a", "HOME=/", "AIRFLOW_VAR_MY-KEY.A=line\nline="}, []string{"AIRFLOW_VAR_REGION"}},
		"equal values do not differ": {[]string{"AIRFLOW_VAR_REGION=north"}, false,
			[]string{"AIRFLOW_VAR_REGION=north", "AIRFLOW_VAR_MY-KEY.A=line\nline="}, nil},
		"an empty one is set": {[]string{"AIRFLOW_VAR_REGION="}, true,
			[]string{"AIRFLOW_VAR_REGION=", "AIRFLOW_VAR_MY-KEY.A=line\nline="}, []string{"AIRFLOW_VAR_REGION"}},
		"odd strings pass": {[]string{"ODD", "=C:=x", ""}, false,
			[]string{"ODD", "=C:=x", "", "AIRFLOW_VAR_REGION=north", "AIRFLOW_VAR_MY-KEY.A=line\nline="}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			environ, err := Merge(row.inherited, entries, row.keepExisting)
			require.NoError(t, err)
			assert.Equal(t, row.environ, environ)
			assert.Equal(t, row.differing, Differing(row.inherited, entries))
		})
	}
}

func TestMergeRefusesWhatNoEnvironmentCarries(t *testing.T) {
	preload := variable("x", "needle")
	preload.Env = "LD_PRELOAD"
	equals := variable("x=y", "needle")
	_, err := Merge(nil, []Entry{preload, equals, variable("nul", "needle\x00"), variable("Id", "needle"), variable("ID", "needle")}, false)
	assert.EqualError(t, err, `variable "x": "LD_PRELOAD" is no variable that Airflow looks up
variable "x=y": "AIRFLOW_VAR_X=Y" is no variable that Airflow looks up
variable "nul": the value holds a NUL byte, which no environment variable can carry
variable "Id" and variable "ID" would both be AIRFLOW_VAR_ID, because Airflow upper-cases ids: rename one, or ask for one alone`)
	assert.NotContains(t, err.Error(), "needle")
}
