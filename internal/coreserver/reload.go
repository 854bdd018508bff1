package coreserver

import (
	"context"
	"log/slog"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/internal/logkey"
)

// Reload reads all files again. What is wrong is logged, once, and stays as it was.
func (s *Server) Reload() {
	var err error
	defer s.contain(context.Background(), "reload", &err)
	s.reload()
}

func (s *Server) reload() {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	before := s.store.Current()
	changed, err := s.store.Reload()
	if err != nil {
		s.config.Log.Error("keeping what was last read in good order", logkey.Error, err)
	}
	s.config.Observer.Dropped(s.store.Current().Lost(before))
	if changed {
		current := s.store.Current()
		s.config.Log.Info("files have changed", logkey.Entries, current.Len(), logkey.Version, current.Revision)
		s.logInvalid(current, before)
	}
	s.telling.of(s.store.Status(), s.store.Current().Rules.Teams(), s.config.Now())
	s.reloadCertificates()
	if wait := s.store.ReadAgain(); wait > 0 {
		time.AfterFunc(wait, s.Reload)
	}
}

// logInvalid tells core's operator of the entries that nobody will get, once for each version, or for
// each place where there is no name. A team may write thousands of them a second, so of a file a few are told
// and the others counted.
func (s *Server) logInvalid(snapshot, before *store.Snapshot) {
	for e := range snapshot.All() {
		if e.Invalid != "" && !before.Has(e) {
			s.logEntry("serving an entry as invalid", e, slog.String(logkey.Entry, brief(e.Name.String())))
		}
	}
	for _, e := range snapshot.Nameless {
		if !before.HasNameless(e) {
			s.logEntry("ignoring an entry without a name", e)
		}
	}
}

func (s *Server) logEntry(message string, e store.Entry, attributes ...slog.Attr) {
	untold, isFew := s.invalid.take(e.Origin.File, time.Now())
	if !isFew {
		return
	}
	if untold > 0 {
		attributes = append(attributes, slog.Int(logkey.Untold, untold))
	}
	attributes = append(attributes, slog.String(logkey.Path, e.Origin.String()), slog.String(logkey.Cause, brief(e.Invalid)))
	s.config.Log.LogAttrs(context.Background(), slog.LevelWarn, message, attributes...)
}

func (s *Server) reloadCertificates() {
	if s.certificates == nil {
		return
	}
	switch changed, err := s.certificates.reload(); {
	case err != nil:
		s.config.Log.Error("keeping the certificate last read in good order", logkey.Error, err)
	case changed:
		s.config.Log.Info("certificates have changed")
	}
}

func (s *Server) files() []string {
	files := s.store.Files()
	if s.certificates != nil {
		files = append(files, s.certificates.files()...)
	}
	return files
}
