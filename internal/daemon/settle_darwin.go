package daemon

import "runtime/debug"

// Settle is for a program that has begun, and waits from now on: it gives back the garbage of its start.
func Settle() { debug.FreeOSMemory() }
