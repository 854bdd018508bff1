package coreserver

import (
	"crypto/x509"
	"iter"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Observer is told of what happens. It is called by many goroutines, and returns at once.
type Observer interface {
	// Called is a call that ended, with its code of gRPC.
	Called(method, code string, took time.Duration)
	// Decided is so many decisions that are being written down.
	Decided(decision string, count int)
	// Audited is a write of the audit log; failed says that it did not succeed.
	Audited(took time.Duration, failed bool)
	// Watching is a watch that began, or with -1 one that ended.
	Watching(change int)
	// Dropped is that reading the files took so many entries away.
	Dropped(count int)
	Panicked()
	// Asked is a call that core made to a source over the network, by what came of it.
	Asked(source, outcome string)
}

// unobserved is for a core that nobody looks at.
type unobserved struct{}

func (unobserved) Called(string, string, time.Duration) {}
func (unobserved) Decided(string, int)                  {}
func (unobserved) Audited(time.Duration, bool)          {}
func (unobserved) Watching(int)                         {}
func (unobserved) Dropped(int)                          {}
func (unobserved) Panicked()                            {}
func (unobserved) Asked(string, string)                 {}

// observed tells of each decision as it is written.
func (s *Server) observed(records iter.Seq[audit.Record]) iter.Seq[audit.Record] {
	return func(yield func(audit.Record) bool) {
		for record := range records {
			if record.Decision != "" {
				s.config.Observer.Decided(string(record.Decision), max(record.Count, 1))
			}
			if !yield(record) {
				return
			}
		}
	}
}

// Files is how each file stood when it was last looked at.
func (s *Server) Files() []store.Status { return s.store.Status() }

// Entries counts those in force, by kind.
func (s *Server) Entries() map[entry.Kind]int { return s.store.Current().Counts() }

// Expiry is when core's certificate ends, or the first of its chain; zero without TLS.
func (s *Server) Expiry() time.Time {
	var first time.Time
	if s.certificates == nil {
		return first
	}
	for _, raw := range s.certificates.current.Load().Certificates[0].Certificate {
		certificate, err := x509.ParseCertificate(raw)
		if err == nil && (first.IsZero() || certificate.NotAfter.Before(first)) {
			first = certificate.NotAfter
		}
	}
	return first
}
