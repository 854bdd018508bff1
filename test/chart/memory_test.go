package chart

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The rows are those of internal/budget's TestVolumesOfALimit.
func TestNotesSayHowManyFullVolumesThereAre(t *testing.T) {
	for text, says := range map[string]string{
		"{}": "holds at least 4 full volumes of 16Mi",
		"driver: {resources: {limits: {memory: 512Mi}}}":                       "holds at least 16 full volumes of 16Mi",
		"driver: {resources: {limits: {memory: 1Gi}}, volumeSize: 4Mi}":        "holds at least 162 full volumes of 4Mi",
		"driver: {resources: {limits: {memory: 128M}}, volumeSize: 2Mi}":       "holds at least 11 full volumes of 2Mi",
		"driver: {resources: {limits: {memory: 33554432}}, volumeSize: 512Ki}": "holds at least 4 full volumes of 512Ki",
	} {
		files := mustRender(t, newest, readValues(t, text))
		assert.Contains(t, files["leoflow-secrets-csi/templates/NOTES.txt"], says, text)
	}
	for _, text := range []string{"driver: {resources: {limits: null}}", "driver: {resources: {limits: {memory: 0.5Gi}}}"} {
		files := mustRender(t, newest, readValues(t, text))
		assert.NotContains(t, files["leoflow-secrets-csi/templates/NOTES.txt"], "full volumes", text)
	}
}
