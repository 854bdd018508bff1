package suite

import (
	"encoding/json"

	"github.com/stretchr/testify/require"
)

// manifest is what the suite reads of the volume's.
type manifest struct {
	Generation int
	Entries    []struct{ ID, State string }
}

func (s *scenario) manifest(pod string) manifest {
	s.Helper()
	var m manifest
	require.NoError(s, json.Unmarshal([]byte(s.read(pod, "manifest.json")), &m))
	return m
}
