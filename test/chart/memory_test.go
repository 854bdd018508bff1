package chart

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The rows are those of internal/budget's TestVolumesOfALimit.
func TestNotesSayHowManyFullVolumesThereAre(t *testing.T) {
	for text, says := range map[string]string{
		"{}": "holds 6 full volumes of 16Mi",
		"driver: {resources: {limits: {memory: 512Mi}}}":                       "holds 22 full volumes of 16Mi",
		"driver: {resources: {limits: {memory: 1Gi}}, volumeSize: 4Mi}":        "holds 217 full volumes of 4Mi",
		"driver: {resources: {limits: {memory: 128M}}, volumeSize: 2Mi}":       "holds 14 full volumes of 2Mi",
		"driver: {resources: {limits: {memory: 33554432}}, volumeSize: 512Ki}": "holds 6 full volumes of 512Ki",
	} {
		files := mustRender(t, newest, readValues(t, text))
		assert.Contains(t, files["leoflow-secrets-csi/templates/NOTES.txt"], says, text)
	}
	for _, text := range []string{"driver: {resources: {limits: null}}", "driver: {resources: {limits: {memory: 0.5Gi}}}"} {
		files := mustRender(t, newest, readValues(t, text))
		assert.NotContains(t, files["leoflow-secrets-csi/templates/NOTES.txt"], "full volumes", text)
	}
}
