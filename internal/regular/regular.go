// Package regular reads files that somebody names. A pipe or a device in the place of a file would have a
// program wait for whoever writes to it, or read without an end.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Most is above what a file of certificates, keys or settings has.
const Most = 1 << 20

// errNot is of what is neither a regular file nor a directory, which says of itself that it cannot be read.
var errNot = errors.New("is no regular file: a pipe, a socket or a device cannot be read in its place")

// Open opens a file to read it, and waits for nobody. The error names it, as those of os do.
func Open(path string) (*os.File, error) { return OpenFile(path, os.O_RDONLY) }

// OpenFile is Open with flags of os.OpenFile.
func OpenFile(path string, flags int) (*os.File, error) {
	file, err := os.OpenFile(path, flags|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNot}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Read reads a whole file, of that many bytes at most.
func Read(path string, most int64) ([]byte, error) {
	file, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(content)) > most {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is larger than %d bytes", most)}
	}
	if err != nil {
		return nil, err
	}
	return content, nil
}
