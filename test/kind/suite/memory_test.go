package suite

import (
	"strconv"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// assertMemorySuffices holds the driver's memory request to what its cgroup had at most.
// The pages of the program itself count where they were first read, which may have been
// in another container's cgroup: they are added here, and so perhaps counted twice.
func (n *node) assertMemorySuffices() {
	n.Helper()
	driver := n.driver()
	_, container, _ := strings.Cut(driver.Status.ContainerStatuses[0].ContainerID, "://")
	// As cgroups version 2 and version 1 write it; runtimes nest and name them as they like.
	peak := n.number(`cat $(find ` + rootOfNode + `/sys/fs/cgroup -path '*` + container + `*' \
		\( -name memory.peak -o -name memory.max_usage_in_bytes \)) | sort -n | tail -n 1`)
	program := 1024 * n.number(`for process in /proc/[0-9]*; do
		grep -q '`+container+`' $process/cgroup && awk '$1 == "RssFile:" {print $2}' $process/status
	done 2>/dev/null | sort -n | tail -n 1`)
	request := driver.Spec.Containers[0].Resources.Requests.Memory().Value()
	n.Logf("driver's memory: at most %.1f MiB, and %.1f MiB of the program's own pages; requested are %d MiB",
		mebibytes(peak), mebibytes(program), request>>20)
	assert.Less(n, peak+program, request)
}

// number is what a script on the node prints.
func (n *node) number(script string) int64 {
	n.Helper()
	printed := strings.TrimSpace(n.shell(script))
	number, err := strconv.ParseInt(printed, 10, 64)
	require.NoError(n, err, script)
	return number
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }
