package filewatch

import "os"

// states are what the file system says of files, in their order; nil for one that is not there.
type states []os.FileInfo

func statesOf(files []string) states {
	all := make(states, len(files))
	for i, file := range files {
		if state, err := os.Stat(file); err == nil {
			all[i] = state
		}
	}
	return all
}

// replaced tells whether whatever changed since then is that other files have the names of files. A
// file that was written to, came or went is not.
func (s states) replaced(files []string) bool {
	if s == nil {
		return false
	}
	found := false
	for i, now := range statesOf(files) {
		before := s[i]
		if before == nil && now == nil {
			continue
		}
		if before == nil || now == nil {
			return false
		}
		if !os.SameFile(before, now) {
			found = true
		} else if !before.ModTime().Equal(now.ModTime()) || before.Size() != now.Size() {
			return false
		}
	}
	return found
}
