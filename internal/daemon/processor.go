package daemon

import (
	"os"
	"runtime"
)

// useOneProcessor has Go run one goroutine at a time, unless GOMAXPROCS says otherwise. What a node's programs
// do for a pod is a chain of short steps of many goroutines, such as those of HTTP/2: with more processors each
// step wakes another thread, which takes longer than the step. What waits in the kernel, as for a mount, keeps no
// other goroutine waiting.
func useOneProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}
