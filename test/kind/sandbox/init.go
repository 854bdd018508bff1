package sandbox

import (
	"context"
	"os"
	"syscall"

	"github.com/leoflow/secrets-csi/test/kind/state"
)

// Init is the life of the node's process 1: it enters the node's own root, boots, and
// then only stays, until ctx ends. boot runs inside the node, where binaries are in PATH.
func Init(ctx context.Context, dir state.Dir, binaries string, boot func(context.Context) error) error {
	lease, report := inherit()
	if err := lease.await(beginning); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if err := lease.await(staying); err != nil {
			cancel(err)
		}
	}()
	err := enter(dir, binaries)
	if err == nil {
		err = boot(ctx)
	}
	if err != nil {
		_, _ = report.WriteString(err.Error())
		return err
	}
	if _, err := report.WriteString(ready); err != nil {
		return err
	}
	if err := report.Close(); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// inherit takes over the node's ends of the pipes, and keeps them from its children: the
// starter would wait for the last of those to close its report.
func inherit() (lease leaseEnd, report *os.File) {
	syscall.CloseOnExec(leaseDescriptor)
	syscall.CloseOnExec(reportDescriptor)
	return leaseEnd{os.NewFile(leaseDescriptor, "lease")}, os.NewFile(reportDescriptor, "report")
}
