package main

import (
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/cgroup"
	"github.com/leoflow/secrets-csi/internal/daemon"
	"github.com/leoflow/secrets-csi/internal/logkey"
)

// newBudget reckons with what the container may take, or without a limit the whole machine, and
// lets the collector follow. charged reads what the kernel says of the volumes' pages; nil without a limit,
// since others' would be among them.
func (s *settings) newBudget(log *slog.Logger) (made *budget.Budget, charged func() (int64, bool)) {
	group, found := cgroup.MemoryOf(os.DirFS("/"))
	limit, charged := group.Limit, group.Shared
	if !found {
		charged = nil
		var machine unix.Sysinfo_t
		_ = unix.Sysinfo(&machine) // fails for a bad address alone
		limit = int64(machine.Totalram) * int64(machine.Unit)
	}
	made = budget.New(limit, daemon.HeapLimit())
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
