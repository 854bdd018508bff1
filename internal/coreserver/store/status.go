package store

import (
	"errors"
	"strings"
	"time"
)

// longestFault is how much is told of what is wrong with a file, which may quote what a team wrote.
const longestFault = 8 << 10

// Status is how one file stands, for core's operator.
type Status struct {
	File string
	// Team is whose file it is; empty for the admin's.
	Team string
	// Kind is "connections", "variables", "rules" or KindMetastore.
	Kind string
	// Entries are those in force; for rules, the rules.
	Entries int
	// ReadAt is when what is in force was read; zero where nothing ever was.
	ReadAt time.Time
	// Fault says why what the file holds now is not in force, and Since since when; empty and
	// zero where it is.
	Fault string
	Since time.Time

	err    error
	untold bool
	vital  bool // core does not start without it
}

// blame notes since when, and why, what the file wants is not in force.
func (s *Status) blame(now time.Time, err error) {
	if s.Fault == "" {
		s.Since = now
	}
	if text := err.Error(); len(text) > longestFault {
		err = errors.New(strings.ToValidUTF8(text[:longestFault], "") + "…")
	}
	if s.Fault != err.Error() {
		s.Fault, s.err, s.untold = err.Error(), err, true
	}
}

// mend notes that what the file holds is in force.
func (s *Status) mend(now time.Time) {
	s.ReadAt, s.Fault, s.Since, s.err, s.untold = now, "", time.Time{}, nil, false
}

// news is the fault, once.
func (s *Status) news() error {
	if !s.untold {
		return nil
	}
	s.untold = false
	return s.err
}
