package coreserver

import (
	"context"
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

// logInvalid tells core's operator of the entries that nobody will get, once for each
// version, or for each place where there is no name.
func (s *Server) logInvalid(snapshot, before *store.Snapshot) {
	for e := range snapshot.All() {
		if e.Invalid != "" && !before.Has(e) {
			s.config.Log.Warn("serving an entry as invalid", logkey.Entry, e.Name.String(), logkey.Path, e.Origin.String(), logkey.Cause, e.Invalid)
		}
	}
	for _, e := range snapshot.Nameless {
		if before.HasNameless(e) {
			continue
		}
		s.config.Log.Warn("ignoring an entry without a name", logkey.Path, e.Origin.String(), logkey.Cause, e.Invalid)
	}
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
