package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// reserve is how much the collector lets the heap grow beyond what is in use, in percent of
// that. A rotation makes garbage of every volume at once; with Go's 100 the driver of a full
// node keeps some 2 MiB more for it, and takes 4 % less CPU for a rotation.
const reserve = 75

// spareMemory leaves to GOGC what that says. Samples of allocations are for a driver whose
// profiles are served: their table alone takes a megabyte and a half.
func (s *settings) spareMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(reserve)
	}
	if s.pprofAddress == "" {
		runtime.MemProfileRate = 0 //nolint:reassign // which is how it is set
	}
}
