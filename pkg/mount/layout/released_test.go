package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What follows, down to its end, is how the first agents read a manifest. They are copied
// into pods and stay there for as long as these run, so it is not changed along with the
// code beside it: whatever a driver writes has to pass here.

type releasedManifest struct {
	Schema     int             `json:"schema"`
	Generation uint64          `json:"generation"`
	Fetched    time.Time       `json:"fetched"`
	StaleAfter int64           `json:"stale_after,omitempty"`
	Offline    bool            `json:"offline,omitempty"`
	Entries    []releasedEntry `json:"entries"`
}

type releasedEntry struct {
	Kind     string          `json:"kind"`
	ID       string          `json:"id"`
	State    string          `json:"state"`
	Required bool            `json:"required,omitempty"`
	Env      string          `json:"env,omitempty"`
	File     string          `json:"file,omitempty"`
	Version  string          `json:"version,omitempty"`
	Source   string          `json:"source,omitempty"`
	Grade    *releasedGrade  `json:"grade,omitempty"`
	Notices  []releasedNotes `json:"notices,omitempty"`
}

type releasedGrade struct {
	State  string `json:"state"`
	Reason string `json:"reason"`
}

type releasedNotes struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func readAsReleased(data []byte) (releasedManifest, error) {
	if len(data) > 4<<20 {
		return releasedManifest{}, errors.New("over 4194304 bytes")
	}
	var manifest releasedManifest
	if err := json.Unmarshal(data, &manifest); err != nil {
		return releasedManifest{}, err
	}
	switch {
	case manifest.Schema < 1:
		return releasedManifest{}, errors.New("it states no schema")
	case manifest.Schema > 1:
		return releasedManifest{}, errors.New("schema is newer")
	}
	for _, e := range manifest.Entries {
		switch {
		case e.State != "delivered" && (e.File != "" || e.Env != ""):
			return releasedManifest{}, fmt.Errorf("%s %q is %q, yet names a file or a variable", e.Kind, e.ID, e.State)
		case e.State == "delivered" && !releasedValuePath(e.File):
			return releasedManifest{}, fmt.Errorf("%s %q names %q, which is no file of a volume", e.Kind, e.ID, e.File)
		}
	}
	return manifest, nil
}

func releasedValuePath(path string) bool {
	dir, name, found := strings.Cut(path, "/")
	if !found || strings.ContainsAny(name, "/\x00") || !fs.ValidPath(path) {
		return false
	}
	return dir == "connections" || dir == "variables" || dir == "airflow"
}

// End of how the first agents read a manifest.

func TestTheFirstAgentsReadWhatIsWrittenToday(t *testing.T) {
	today := newManifest()
	today.Entries[0].Held = &Held{Since: time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC), Why: "its seal is broken"}
	today.Entries = append(today.Entries, Entry{Kind: Connection, ID: "away", State: Unavailable, Required: true,
		Notices: []Notice{{Code: string(Unavailable), Message: "the cloud does not answer"}}})
	data, err := today.Encode()
	require.NoError(t, err)
	require.Contains(t, string(data), `"held": {`)

	read, err := readAsReleased(data)
	require.NoError(t, err)
	assert.Equal(t, today.Generation, read.Generation)
	require.Len(t, read.Entries, 3)
	held := read.Entries[0]
	assert.Equal(t, []string{"delivered", "AIRFLOW_CONN_TEAM/DB", "connections/team%2Fdb"}, []string{held.State, held.Env, held.File},
		"what is held is delivered: its bytes are there")
	assert.Equal(t, []string{"missing", "unavailable"}, []string{read.Entries[1].State, read.Entries[2].State})
	assert.True(t, read.Entries[2].Required)
}
