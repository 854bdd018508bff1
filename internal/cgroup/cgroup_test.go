package cgroup

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
)

func TestMemoryLimit(t *testing.T) {
	for name, row := range map[string]struct {
		files map[string]string
		limit int64
	}{
		"nothing to read": {nil, 0},
		"version 2, in a container": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "134217728\n"}, 128 << 20},
		"version 2, no limit": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		"version 2, a parent has less": {map[string]string{
			"proc/self/cgroup": "0::/pods/p/c\n", "sys/fs/cgroup/pods/p/c/memory.max": "max\n",
			"sys/fs/cgroup/pods/p/memory.max": "4096\n", "sys/fs/cgroup/pods/memory.max": "8192\n"}, 4096},
		"version 2, the host's path": {map[string]string{
			"proc/self/cgroup": "0::/../../pods/p\n", "sys/fs/cgroup/memory.max": "4096\n"}, 4096},
		"version 1": {map[string]string{
			"proc/self/cgroup": "9:cpu,cpuacct:/p\n8:memory:/p\n",
			"sys/fs/cgroup/memory/p/memory.limit_in_bytes":    "4096\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":      "9223372036854771712\n",
			"sys/fs/cgroup/cpu,cpuacct/memory.limit_in_bytes": "1\n"}, 4096},
		"version 1, in a container": {map[string]string{
			"proc/self/cgroup": "8:memory:/docker/0123\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "4096\n"}, 4096},
		"version 1, no limit": {map[string]string{
			"proc/self/cgroup": "8:memory:/p\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"rubbish": {map[string]string{
			"proc/self/cgroup": "0:\n\n0::/\n", "sys/fs/cgroup/memory.max": "many\n"}, 0},
	} {
		root := fstest.MapFS{}
		for file, content := range row.files {
			root[file] = &fstest.MapFile{Data: []byte(content)}
		}
		limit, found := MemoryLimit(root)
		assert.Equal(t, row.limit > 0, found, name)
		if found {
			assert.Equal(t, row.limit, limit, name)
		}
	}
}
