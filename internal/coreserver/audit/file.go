package audit

import (
	"fmt"
	"os"
	"syscall"
)

// File is a file to append records to, wherever its path leads: after somebody renamed or deleted
// it, records would else go where nobody looks for them.
type File struct {
	path string
	*os.File
	isRegular bool
}

// OpenFile opens the file, or makes it; nobody but its owner may read who reads what. A pipe that nobody reads is an error.
func OpenFile(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("looking at %s: %w", path, err)
	}
	return &File{path, file, info.Mode().IsRegular()}, nil
}

// Write appends to the file that the path leads to now. Writes must not be made at once.
func (f *File) Write(lines []byte) (int, error) {
	if f.isRegular && !f.isThere() {
		again, err := OpenFile(f.path)
		if err != nil {
			return 0, err
		}
		_ = f.Close()
		*f = *again
	}
	return f.File.Write(lines)
}

func (f *File) isThere() bool {
	named, err := os.Stat(f.path)
	if err != nil {
		return false
	}
	held, err := f.Stat()
	return err == nil && os.SameFile(named, held)
}
