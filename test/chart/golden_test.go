package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"

	"github.com/leoflow/secrets-csi/internal/testgolden"
)

// sets are the installations that people make. Each is testdata/NAME.values.yaml, and
// rendered it is testdata/NAME.golden.yaml, which an API server accepts as it stands.
var sets = map[string]cluster{
	"trial":         newest,
	"own-core":      {kubernetes: "v1.34.4"},
	"small-install": {kubernetes: "v1.36.3", apis: []string{"cert-manager.io/v1"}},
	"openshift":     {kubernetes: "v1.33.6", apis: []string{"security.openshift.io/v1"}},
}

func setValues(t *testing.T, name string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".values.yaml"))
	require.NoError(t, err)
	return readValues(t, string(text))
}

func TestGolden(t *testing.T) {
	const again = "cd test/chart && go test . -run Golden -update"
	for name, where := range sets {
		t.Run(name, func(t *testing.T) {
			files := mustRender(t, where, setValues(t, name))
			rendered := strings.Join(manifests(files), "---\n")
			notes := files["leoflow-secrets-csi/templates/NOTES.txt"]
			testgolden.File(t, filepath.Join("testdata", name+".golden.yaml"), rendered, again)
			testgolden.File(t, filepath.Join("testdata", name+".notes.txt"), notes, again)
			assert.NotRegexp(t, `(?m)[ \t]$`, rendered, "blanks at the end of a line")
		})
	}
}

// others are kinds that are not Kubernetes' own.
var others = regexp.MustCompile(`(?m)^apiVersion: (cert-manager\.io|monitoring\.coreos\.com)/v1$`)

// Fields that Kubernetes does not know would be refused, or dropped without a word.
func TestEveryFieldIsKnown(t *testing.T) {
	for name, where := range sets {
		for _, document := range manifests(mustRender(t, where, setValues(t, name))) {
			if others.MatchString(document) {
				continue
			}
			decode(t, document)
		}
	}
}

func TestLint(t *testing.T) {
	for name, where := range sets {
		version, err := chartutil.ParseKubeVersion(where.kubernetes)
		require.NoError(t, err)
		linter := lint.AllWithKubeVersion(directory, setValues(t, name), "secrets", version)
		for _, message := range linter.Messages {
			assert.Less(t, message.Severity, support.WarningSev, "%s: %v", name, message)
		}
	}
}
