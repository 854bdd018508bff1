package envshim

import (
	"fmt"
	"io"
	"os"
)

// ready makes the readiness file, which holds the program's process id.
func (r *supervision) ready() error {
	if r.ReadyFile == "" {
		return nil
	}
	return Replace(r.ReadyFile, 0o644, func(out io.Writer) error {
		_, err := fmt.Fprintln(out, r.child.pid)
		return err
	})
}

// unready fails only where there is no file, and then there is nothing to do.
func (r *supervision) unready() {
	if r.ReadyFile != "" {
		_ = os.Remove(r.ReadyFile)
	}
}
