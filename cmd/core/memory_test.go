package main

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
)

func TestCoreKeepsBelowItsContainersLimit(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	container := fstest.MapFS{
		"proc/self/cgroup":         &fstest.MapFile{Data: []byte("0::/\n")},
		"sys/fs/cgroup/memory.max": &fstest.MapFile{Data: []byte("1000000000\n")},
	}
	assert.Zero(t, limitMemory(fstest.MapFS{}))
	assert.EqualValues(t, math.MaxInt64, debug.SetMemoryLimit(-1))

	assert.EqualValues(t, 1000000000, limitMemory(container))
	assert.EqualValues(t, 800000000, debug.SetMemoryLimit(-1))

	debug.SetMemoryLimit(500000000)
	assert.EqualValues(t, 500000000, limitMemory(container), "GOMEMLIMIT is the operator's word")
	assert.EqualValues(t, 500000000, limitMemory(fstest.MapFS{}))
	assert.EqualValues(t, 500000000, debug.SetMemoryLimit(-1))
}
