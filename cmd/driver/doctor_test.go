package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/daemon"
	"github.com/leoflow/secrets-csi/internal/doctor"
)

func TestDoctorFindsTheBrokenAndExitsForIt(t *testing.T) {
	var out, errors bytes.Buffer
	none := filepath.Join(t.TempDir(), "none")
	args := []string{"doctor", "--json", "--endpoint=" + none, "--pods-dir=" + none}
	assert.Equal(t, cli.Failure, program().Execute(t.Context(), args, cli.Streams{Out: &out, Err: &errors}))
	assert.Empty(t, errors.String())
	var printed struct {
		State    doctor.State
		Findings []doctor.Finding
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &printed))
	assert.Equal(t, doctor.Failed, printed.State)
	states := map[string]doctor.State{}
	for _, finding := range printed.Findings {
		states[finding.Check] = finding.State
		assert.Equal(t, finding.State == doctor.Failed, finding.Remedy != "", finding)
	}
	assert.Equal(t, doctor.Failed, states["driver"])
	assert.Equal(t, doctor.Failed, states["mount propagation"])
}

func TestDoctorTakesTheFlagsOfTheDriverThatRuns(t *testing.T) {
	var s doctorSettings
	assert.ErrorContains(t, daemon.Adopt("driver", os.Getpid(), s.bind), "is no driver: give the driver's flags, or --pid")
	s.kubeletEndpoint = "/data/kubelet/plugins/secrets.csi.leoflow.io/csi.sock"
	assert.Equal(t, "/data/kubelet/pods", s.pods())
	s.kubeletEndpoint = ""
	assert.Equal(t, "/var/lib/kubelet/pods", s.pods())
}
