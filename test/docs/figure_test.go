package docs

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
)

// What a node's pod of ours requests stands in two documents, of which one told the driver's half alone.
func TestWhatANodeCostsIsWhatTheChartRequests(t *testing.T) {
	values, err := os.ReadFile(root + "/charts/leoflow-secrets-csi/values.yaml")
	require.NoError(t, err)
	type program struct {
		Resources struct {
			Requests struct{ CPU, Memory string }
		}
	}
	var chart struct{ Driver, Fetcher program }
	require.NoError(t, yaml.Unmarshal(values, &chart))
	var cpu, memory int64
	for _, each := range []program{chart.Driver, chart.Fetcher} {
		quantity := resource.MustParse(each.Resources.Requests.CPU)
		cpu += quantity.MilliValue()
		quantity = resource.MustParse(each.Resources.Requests.Memory)
		memory += quantity.Value() >> 20
	}
	for _, page := range []string{"install.md", "guides/admins.md"} {
		assert.Contains(t, text(t, root+"/docs/"+page), fmt.Sprintf("%dm of CPU and %d MiB of memory on each node", cpu, memory), page)
	}
}
