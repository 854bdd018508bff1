package mount

import (
	"bytes"
	"encoding/json"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// standing is the generation that the volume shows. Its values are read as they are needed,
// so that nobody has to keep them in memory.
type standing struct {
	// files are nil if the volume shows nothing that can be relied on.
	files   *files
	entries []layout.Entry
	// at is where each of these is.
	at         map[layout.Name]int
	identities []layout.Identity
	// airflow are the values for Airflow by kind, once they have been read.
	airflow map[layout.Kind]map[string]json.RawMessage
}

// newStanding takes over top, the current generation's directory. What cannot be read is as
// good as not there.
func newStanding(current Generation, top directory) *standing {
	s := &standing{airflow: map[layout.Kind]map[string]json.RawMessage{}}
	if current.Manifest.Generation == 0 {
		top.close()
		return s
	}
	s.files, s.entries = filesIn(top), current.Manifest.Entries
	s.identities = current.Manifest.Identities
	s.at = make(map[layout.Name]int, len(s.entries))
	for i, entry := range s.entries {
		s.at[entry.Name()] = i
	}
	return s
}

// find is the manifest's line of an entry; false if there is none.
func (s *standing) find(key layout.Name) (layout.Entry, bool) {
	if i, there := s.at[key]; there {
		return s.entries[i], true
	}
	return layout.Entry{}, false
}

func (s *standing) close() {
	if s.files != nil {
		s.files.close()
	}
}

// line is what is shown of an entry; false if there is nothing, or nothing whole.
func (s *standing) line(key layout.Name) (line, bool) {
	entry, there := s.find(key)
	if !there {
		return line{}, false
	}
	found := line{Entry: entry, carried: true}
	if entry.State != layout.Delivered {
		return found, true
	}
	var err error
	if found.value, err = s.files.read(entry.File); err != nil {
		return line{}, false
	}
	found.json, there = s.members(entry.Kind)[entry.ID]
	return found, there || entry.Has(layout.NoticeExtraIsText)
}

// members are the values in the file for Airflow of one kind.
func (s *standing) members(kind layout.Kind) map[string]json.RawMessage {
	if read, ok := s.airflow[kind]; ok {
		return read
	}
	var members map[string]json.RawMessage
	if data, err := s.files.read(layout.AirflowFile(kind)); err == nil {
		_ = json.Unmarshal(data, &members) // what cannot be read has no members
	}
	s.airflow[kind] = members
	return members
}

// versionOf is the version that stands in the volume where the line's bytes stand there
// too, and otherwise the line's own: many sources make other versions of the same value
// whenever the driver starts.
func (s *standing) versionOf(fresh line) string {
	was, there := s.find(fresh.Name())
	if !there || was.State != layout.Delivered || was.Version == fresh.Version || was.File != fresh.File {
		return fresh.Version
	}
	if value, err := s.files.read(was.File); err != nil || !bytes.Equal(value, fresh.value) {
		return fresh.Version
	}
	if found, whole := s.line(fresh.Name()); whole && bytes.Equal(found.json, fresh.json) {
		return was.Version
	}
	return fresh.Version
}

// removeFiles deletes what the generation should consist of, and its directories.
func (s *standing) removeFiles() error {
	for _, entry := range s.entries {
		if entry.State != layout.Delivered {
			continue
		}
		if err := s.files.unlink(entry.File); err != nil {
			return err
		}
	}
	for _, one := range s.identities {
		for _, path := range one.Files() {
			if err := s.files.unlink(path); err != nil {
				return err
			}
		}
	}
	if len(s.identities) > 0 {
		if err := s.files.top.unlink(layout.IdentityDir, unix.AT_REMOVEDIR); err != nil {
			return err
		}
	}
	for _, path := range []string{layout.AirflowFile(layout.Connection), layout.AirflowFile(layout.Variable), layout.ManifestFile} {
		if err := s.files.unlink(path); err != nil {
			return err
		}
	}
	for _, dir := range layout.ValueDirs() {
		if err := s.files.top.unlink(dir, unix.AT_REMOVEDIR); err != nil {
			return err
		}
	}
	return nil
}

// missingFrom are the delivered entries that lines do not deliver.
func (s *standing) missingFrom(lines []line) (missing []layout.Entry) {
	kept := make([]bool, len(s.entries))
	for _, l := range lines {
		if i, there := s.at[l.Name()]; there {
			kept[i] = l.State == layout.Delivered
		}
	}
	for i, entry := range s.entries {
		if entry.State == layout.Delivered && !kept[i] {
			missing = append(missing, entry)
		}
	}
	return missing
}
