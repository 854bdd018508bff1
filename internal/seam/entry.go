package seam

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Entry is an entry as a volume is to show it: its line of the manifest, and if it is delivered, its
// bytes. It prints without these.
type Entry struct {
	layout.Entry
	// Value is the content of the entry's file, JSON its value in the file for Airflow, nil
	// where it must not stand there. Both are secrets.
	Value, JSON []byte
	// Refers is set if it waits for what a reference points at, or is refused for that.
	Refers bool
	// TooLarge is set if it is Invalid for want of room alone.
	TooLarge bool
}

// Refused is an entry that cannot be had, for a reason that holds no value and may be empty.
func Refused(name layout.Name, state layout.State, reason string) Entry {
	made := Entry{Entry: layout.Entry{Kind: name.Kind, ID: name.ID, State: state}}
	if reason != "" {
		made.Notices = []layout.Notice{{Code: string(state), Message: reason}}
	}
	return made
}

// String names the entry and tells its state.
func (e Entry) String() string { return e.Name().String() + " (" + string(e.State) + ")" }

// LogValue is what String returns.
func (e Entry) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalText is what String returns.
func (e Entry) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Format covers every verb, since %x or %#v would otherwise reach into the values.
func (e Entry) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, e.String()) }

// Patience is how long a live volume waits for what references point at.
const Patience = 500 * time.Millisecond

// NoAnswer is the reason of an entry whose reference was not resolved in that time, again and again.
const NoAnswer = "resolving reference: no answer within 500ms; it is asked again"

// IsAwaited tells the line of an entry whose reference is still being resolved.
func IsAwaited(line layout.Entry) bool {
	return line.State == layout.Unavailable && (line.Reason() == "" || line.Reason() == NoAnswer)
}
