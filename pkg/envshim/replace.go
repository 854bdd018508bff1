package envshim

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Replace writes a file so that whoever opens path finds the old content or the new,
// never a part. The temporary file stands in the same directory and does not outlive
// the call.
func Replace(path string, mode os.FileMode, write func(io.Writer) error) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return fmt.Errorf("replacing %s: %w", path, err)
	}
	err = errors.Join(write(temp), temp.Chmod(mode), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("replacing %s: %w", path, errors.Join(err, os.Remove(temp.Name())))
	}
	return nil
}
