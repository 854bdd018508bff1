package envshim

import (
	"fmt"
	"io"
	"os"
	"time"
)

// writeReady makes the readiness file, which holds the program's process id.
func (r *supervision) writeReady() error {
	if r.ReadyFile == "" {
		return nil
	}
	return Replace(r.ReadyFile, 0o644, func(out io.Writer) error {
		_, err := fmt.Fprintln(out, r.child.pid)
		return err
	})
}

// ready makes the file as soon as that can be done: no program that runs ends for want
// of it.
func (r *supervision) ready() {
	r.unwritten = nil
	if err := r.writeReady(); err != nil {
		r.complain(fmt.Sprintf("the program runs, and its ready file cannot be made: %v", err))
		r.unwritten = time.After(slowPoll)
	}
}

// unready fails only where there is no file, and then there is nothing to do.
func (r *supervision) unready() {
	r.unwritten = nil
	if r.ReadyFile != "" {
		_ = os.Remove(r.ReadyFile)
	}
}
