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
		memory, found := MemoryOf(rootOf(row.files))
		assert.Equal(t, row.limit > 0, found, name)
		if found {
			assert.Equal(t, row.limit, memory.Limit, name)
		}
	}
}

func rootOf(files map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for file, content := range files {
		root[file] = &fstest.MapFile{Data: []byte(content)}
	}
	return root
}

// The files are cut from those of kernels 5.15 (version 2) and 6.1 (version 1).
func TestShared(t *testing.T) {
	const unified, split = "sys/fs/cgroup/memory.stat", "sys/fs/cgroup/memory/memory.stat"
	for name, row := range map[string]struct {
		stat, content string
		shared        int64
	}{
		"version 2":                   {unified, "anon 4096\nfile 12288\nshmem 8192\nfile_mapped 0\n", 8192},
		"version 1, with those below": {split, "cache 12288\nshmem 4096\nhierarchical_memory_limit 4096\ntotal_cache 0\ntotal_shmem 8192\n", 8192},
		"version 1, of it alone":      {split, "cache 12288\nshmem 4096\n", 4096},
		"none":                        {unified, "anon 4096\n", 0},
		"rubbish":                     {unified, "shmem many\n", 0},
		"another group's":             {"sys/fs/cgroup/memory.statistics", "shmem 4096\n", 0},
	} {
		files := map[string]string{row.stat: row.content, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "65536\n"}
		if row.stat == split {
			files = map[string]string{row.stat: row.content, "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "65536\n"}
		}
		memory, found := MemoryOf(rootOf(files))
		assert.True(t, found, name)
		shared, told := memory.Shared()
		assert.Equal(t, row.shared > 0, told, name)
		assert.Equal(t, row.shared, shared, name)
	}
	// A limit further up counts all that is charged below it.
	memory, _ := MemoryOf(rootOf(map[string]string{
		"proc/self/cgroup": "0::/pod/driver\n", "sys/fs/cgroup/pod/driver/memory.max": "65536\n", "sys/fs/cgroup/pod/driver/memory.stat": "shmem 1\n",
		"sys/fs/cgroup/pod/memory.max": "65536\n", "sys/fs/cgroup/pod/memory.stat": "shmem 2\n",
		"sys/fs/cgroup/memory.max": "65537\n", "sys/fs/cgroup/memory.stat": "shmem 3\n",
	}))
	shared, _ := memory.Shared()
	assert.Equal(t, int64(2), shared)
	// What a container has left behind is charged to its pod, though that may have more.
	for _, pod := range []string{"podd2bdcd0d-09f7-4c58-9d6a-2f3e0f9e43f7", "kubepods-burstable-podd2bdcd0d_09f7_4c58_9d6a_2f3e0f9e43f7.slice"} {
		memory, _ := MemoryOf(rootOf(map[string]string{
			"proc/self/cgroup": "0::/kubepods/" + pod + "/driver\n", "sys/fs/cgroup/kubepods/" + pod + "/driver/memory.max": "65536\n",
			"sys/fs/cgroup/kubepods/" + pod + "/driver/memory.stat": "shmem 1\n", "sys/fs/cgroup/kubepods/" + pod + "/memory.max": "131072\n",
			"sys/fs/cgroup/kubepods/" + pod + "/memory.stat": "shmem 2\n", "sys/fs/cgroup/kubepods/memory.max": "999999999\n",
			"sys/fs/cgroup/kubepods/memory.stat": "shmem 3\n",
		}))
		assert.Equal(t, int64(65536), memory.Limit, pod)
		shared, _ := memory.Shared()
		assert.Equal(t, int64(2), shared, pod)
	}
}
