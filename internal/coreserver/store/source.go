package store

import (
	"crypto/sha256"
	"fmt"
	"os"
)

// source is one file and what was last read from it in good order. A file that turns
// bad or goes away leaves the value as it was.
type source[T any] struct {
	path  string
	parse func(file string, content []byte) (T, error)

	value T
	seen  [sha256.Size]byte // of the content last tried, good or bad
	fault string            // of the last try, so that one fault is told once
}

// reload reads the file again. It tells whether value is new, and returns an error
// once for each thing that is wrong. A source without a path is empty for good.
func (s *source[T]) reload() (changed bool, err error) {
	if s.path == "" {
		return false, nil
	}
	content, err := os.ReadFile(s.path)
	if err != nil {
		s.seen = [sha256.Size]byte{}
		return false, s.once(fmt.Errorf("reading file: %w", err))
	}
	sum := sha256.Sum256(content)
	if sum == s.seen {
		return false, nil
	}
	value, err := s.parse(s.path, content)
	s.seen = sum
	if err != nil {
		return false, s.once(err)
	}
	s.value, s.fault = value, ""
	return true, nil
}

func (s *source[T]) once(err error) error {
	if s.fault == err.Error() {
		return nil
	}
	s.fault = err.Error()
	return err
}
