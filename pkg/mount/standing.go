package mount

import (
	"bytes"
	"encoding/json"
	"os"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// standing is the generation that the volume shows. Its values are read as they are needed,
// so that nobody has to keep them in memory.
type standing struct {
	// root is its directory; nil if the volume shows nothing that can be relied on.
	root    *os.Root
	entries map[name]layout.Entry
	// airflow are the values for Airflow by kind, once they have been read.
	airflow map[string]map[string]json.RawMessage
}

// open opens the current generation. What cannot be read is as good as not there.
func (v *volume) open(current Generation) *standing {
	s := &standing{entries: map[name]layout.Entry{}, airflow: map[string]map[string]json.RawMessage{}}
	if current.Manifest.Generation == 0 {
		return s
	}
	root, err := v.root.OpenRoot(current.name)
	if err != nil {
		return s
	}
	s.root = root
	for _, entry := range current.Manifest.Entries {
		s.entries[nameOf(entry)] = entry
	}
	return s
}

func (s *standing) close() {
	if s.root != nil {
		_ = s.root.Close()
	}
}

// line is what is shown of an entry; false if there is nothing, or nothing whole.
func (s *standing) line(key name) (line, bool) {
	entry, there := s.entries[key]
	if !there {
		return line{}, false
	}
	found := line{Entry: entry, carried: true}
	if entry.State != layout.Delivered {
		return found, true
	}
	var err error
	if found.value, err = s.root.ReadFile(entry.File); err != nil {
		return line{}, false
	}
	found.json, there = s.members(entry.Kind)[entry.ID]
	return found, there || entry.Has(layout.NoticeExtraIsText)
}

// members are the values in the file for Airflow of one kind.
func (s *standing) members(kind string) map[string]json.RawMessage {
	if read, ok := s.airflow[kind]; ok {
		return read
	}
	var members map[string]json.RawMessage
	if data, err := s.root.ReadFile(layout.AirflowFile(kind)); err == nil {
		_ = json.Unmarshal(data, &members) // what cannot be read has no members
	}
	s.airflow[kind] = members
	return members
}

// versionOf is the version that stands in the volume where the line's bytes stand there
// too, and otherwise the line's own: many sources make other versions of the same value
// whenever the driver starts.
func (s *standing) versionOf(fresh line) string {
	was, there := s.entries[nameOf(fresh.Entry)]
	if !there || was.State != layout.Delivered || was.Version == fresh.Version || was.File != fresh.File {
		return fresh.Version
	}
	found, whole := s.line(nameOf(fresh.Entry))
	if whole && bytes.Equal(found.value, fresh.value) && bytes.Equal(found.json, fresh.json) {
		return was.Version
	}
	return fresh.Version
}

// missingFrom are the delivered entries that lines do not deliver.
func (s *standing) missingFrom(lines []line) (missing []layout.Entry) {
	kept := make(map[name]bool, len(lines))
	for _, l := range lines {
		kept[nameOf(l.Entry)] = l.State == layout.Delivered
	}
	for key, entry := range s.entries {
		if entry.State == layout.Delivered && !kept[key] {
			missing = append(missing, entry)
		}
	}
	return missing
}
