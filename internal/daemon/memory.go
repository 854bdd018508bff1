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

// How much the collector lets the heap grow beyond what is in use, in percent of that. It grows by a
// megabyte at least, whatever is said here.
const (
	// DriverReserve is for a rotation, which makes garbage of every volume at once: with 75 a full node
	// keeps a megabyte more for it.
	DriverReserve = 50
	// FetcherReserve is less, since there is more in use that stays, the clouds' SDKs above all, and less
	// garbage: with 50 a node with every source on keeps a megabyte more for it.
	FetcherReserve = 25
)

// SpareMemory has the collector keep so much in reserve, and leaves to GOGC what that says. Samples of
// allocations are for a program whose profiles are served: their table alone takes a megabyte and a half.
func SpareMemory(reserve int, isProfiled bool) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(reserve)
	}
	if !isProfiled {
		runtime.MemProfileRate = 0 //nolint:reassign // which is how it is set
	}
}
