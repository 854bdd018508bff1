package main

import (
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/cgroup"
	"github.com/leoflow/secrets-csi/internal/logkey"
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

// newBudget reckons with what the container may take, or without a limit the whole machine, and
// lets the collector follow, unless GOMEMLIMIT says otherwise. charged reads what the kernel says of
// the volumes' pages; nil without a limit, since others' would be among them.
func (s *settings) newBudget(log *slog.Logger) (made *budget.Budget, charged func() (int64, bool)) {
	group, found := cgroup.MemoryOf(os.DirFS("/"))
	limit, charged := group.Limit, group.Shared
	if !found {
		charged = nil
		var machine unix.Sysinfo_t
		_ = unix.Sysinfo(&machine) // fails for a bad address alone
		limit = int64(machine.Totalram) * int64(machine.Unit)
	}
	collect := func(limit int64) { debug.SetMemoryLimit(limit) }
	if os.Getenv("GOMEMLIMIT") != "" {
		collect = nil
	}
	made = budget.New(limit, collect)
	asked, most := int64(s.volumeSize), made.VolumeSize(int64(s.volumeSize))
	state := made.State()
	log = log.With(logkey.Limit, budget.Bytes(limit).String(), logkey.Volumes, budget.Bytes(state.Volumes).String(), logkey.Largest, budget.Bytes(most).String())
	if most < asked {
		log.Warn("no volume may be as large as --volume-size says, for want of memory: raise the container's limit")
	} else {
		log.Info("reckoning with the container's memory")
	}
	return made, charged
}
