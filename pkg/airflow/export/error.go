package export

import (
	"errors"
	"fmt"
)

const (
	kindConnection = "connection"
	kindVariable   = "variable"
)

// FileError says why a file cannot be read at all.
type FileError struct {
	File string
	// Line is where reading stopped, from 1; 0 where that says nothing.
	Line   int
	Reason string
}

func (e *FileError) Error() string { return place(e.File, e.Line) + ": " + e.Reason }

// EntryError says what is wrong with one entry of a file.
type EntryError struct {
	File string
	Line int
	// Kind is "connection" or "variable".
	Kind string
	ID   string
	Err  error
}

func (e *EntryError) Error() string {
	return fmt.Sprintf("%s: %s %q: %v", place(e.File, e.Line), e.Kind, e.ID, e.Err)
}

func (e *EntryError) Unwrap() error { return e.Err }

func place(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// lineError is an error that knows its line better than the entry it is in.
type lineError struct {
	line int
	error
}

func at(line int, reason string) error { return &lineError{line, errors.New(reason)} }

func newEntryError(file, kind string, entry member, err error) *EntryError {
	line := entry.line
	var located *lineError
	if errors.As(err, &located) {
		line, err = located.line, located.error
	}
	return &EntryError{File: file, Line: line, Kind: kind, ID: entry.key, Err: err}
}
