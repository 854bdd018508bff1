package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/doctor"
)

func TestDoctorFindsTheBrokenAndExitsForIt(t *testing.T) {
	var out, errors bytes.Buffer
	args := []string{"doctor", "--json", "--core-address=127.0.0.1:1", "--health-address=127.0.0.1:1"}
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
	assert.Equal(t, doctor.Failed, states["core"])
	assert.Equal(t, doctor.Failed, states["readiness"])
	assert.Equal(t, doctor.Skipped, states["client certificate"])
}
