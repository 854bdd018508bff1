// Package render turns entries into the files of a volume. It is pure: no I/O, no
// clock, and the same input gives the same bytes.
package render

import (
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Format is how connections are written into their files.
type Format string

// The formats, as a user writes them.
const (
	URI  Format = "uri"
	JSON Format = "json"
)

// Connection is a connection after policy, ready to be rendered.
type Connection struct {
	Connection airflow.Connection
	Version    string
	Source     string
	Notices    []layout.Notice
}

// Variable is a variable ready to be rendered.
type Variable struct {
	Key     string
	Value   secret.Text
	Version string
	Source  string
	Notices []layout.Notice
}

// File is one file of a generation. Data is a secret.
type File struct {
	// Path is relative to the volume and slash-separated.
	Path string
	Data []byte
}

// Output is a generation, but for the manifest's generation and time.
type Output struct {
	Files []File
	// Entries are the delivered entries, in the order of the input.
	Entries []layout.Entry
	// Failures are the entries that cannot be rendered; the others are not touched by
	// them.
	Failures []provider.Refusal
}
