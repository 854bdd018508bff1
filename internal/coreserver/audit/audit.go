// Package audit writes down who was given what. A record holds names and versions,
// never a value or a token.
package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Decision is how a request for one entry ended.
type Decision string

// The decisions, spelled as in the log.
const (
	Allowed         Decision = "allowed"
	Missing         Decision = "missing"         // may be read and is not there
	Denied          Decision = "denied"          // no rule allows it, whether or not it is there
	Invalid         Decision = "invalid"         // is there and cannot be served
	Unauthenticated Decision = "unauthenticated" // the token was refused; no caller, no entry
)

// Record is one line of the log.
type Record struct {
	Time time.Time `json:"time"`
	// Method is the RPC, such as "/leoflow.secrets.v1.SecretsService/Fetch".
	Method string `json:"method"`
	// Peer is the address that the call came from: the node's, not the pod's.
	Peer string `json:"peer,omitempty"`
	auth.Caller
	Kind  entry.Kind `json:"kind,omitempty"`
	Entry string     `json:"entry,omitempty"`
	// Team is whose entry it is; empty for all.
	Team     string   `json:"team,omitempty"`
	Version  string   `json:"version,omitempty"`
	Decision Decision `json:"decision"`
	// Detail says why, for a person.
	Detail string `json:"detail,omitempty"`
}

// Log writes records as JSON lines. It is safe for concurrent use.
type Log struct {
	mu  sync.Mutex
	out io.Writer
}

// NewLog writes to out, which Log alone writes to.
func NewLog(out io.Writer) *Log { return &Log{out: out} }

// Write puts down the records of one call in one write, so that a file opened for
// appending keeps calls together. The caller must not hand out what it could not
// write down.
func (l *Log) Write(records ...Record) error {
	if len(records) == 0 {
		return nil
	}
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	encoder.SetEscapeHTML(false)
	for _, record := range records {
		if err := encoder.Encode(record); err != nil {
			return fmt.Errorf("encoding audit record: %w", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.out.Write(lines.Bytes()); err != nil {
		return fmt.Errorf("writing audit log: %w", err)
	}
	return nil
}
