package daemon

import (
	"os"
	"runtime"
	"runtime/debug"
)

// What the programs of a node agree on without being told.
const (
	// FetcherSocket is where they meet.
	FetcherSocket = "/run/leoflow/fetcher.sock"
	// FetcherUID is the user of the fetcher in its image.
	FetcherUID = 65532
)

// reserve is how much the collector lets the heap grow beyond what is in use, in percent of
// that. A rotation makes garbage of every volume at once, in both programs: with 75 a full node
// keeps some 3 MiB more for it.
const reserve = 50

// SpareMemory leaves to GOGC what that says. Samples of allocations are for a program whose
// profiles are served: their table alone takes a megabyte and a half.
func SpareMemory(isProfiled bool) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(reserve)
	}
	if !isProfiled {
		runtime.MemProfileRate = 0 //nolint:reassign // which is how it is set
	}
}
