package daemon

import (
	"os"
	"runtime"
	"runtime/debug"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// What the programs of a node agree on without being told.
const (
	// fetcherSocket is where they meet.
	fetcherSocket = "/run/leoflow/fetcher.sock"
	// FetcherUID is the user of the fetcher in its image.
	FetcherUID = 65532
	// MinVolumeSize holds the files of an empty delivery and one small entry, of which each takes a page,
	// twice: the next generation is written beside the last.
	MinVolumeSize cli.Size = 64 << 10
)

// reserve is how much the collector lets the heap grow beyond what is in use, in percent of that, or by
// a megabyte if that is more, which is Go's own least: of a full node both come to that. Most of what is in use stays for as long as the
// program runs, the clouds' SDKs above all: with 50 a full node with every source on keeps 1.3 MiB more
// for garbage.
const reserve = 20

// spareMemory leaves to GOGC what that says. Samples of allocations are for a program whose
// profiles are served: their table alone takes a megabyte and a half.
func spareMemory(isProfiled bool) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(reserve)
	}
	if !isProfiled {
		runtime.MemProfileRate = 0 //nolint:reassign // which is how it is set
	}
}

// HeapLimit sets how large the heap may grow; it is nil where GOMEMLIMIT says that.
func HeapLimit() (set func(limit int64)) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return func(limit int64) { debug.SetMemoryLimit(limit) }
}
