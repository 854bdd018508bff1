package cli

import "errors"

// Mistakes are all that is wrong with how a program was called. The zero value has none.
type Mistakes []error

// If adds a mistake where something is wrong.
func (m *Mistakes) If(wrong bool, format string, args ...any) {
	if wrong {
		m.Add(Usagef(format, args...))
	}
}

// Add adds a mistake, if there is one.
func (m *Mistakes) Add(err error) {
	if err != nil {
		*m = append(*m, err)
	}
}

// Err tells all of them, a line each; it exits with Misuse.
func (m Mistakes) Err() error {
	if len(m) == 0 {
		return nil
	}
	return &ExitError{Misuse, errors.Join(m...)}
}
