// Package testheap measures what the code under test keeps.
package testheap

import "runtime"

// InUse is what the heap holds after a collection.
func InUse() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
