package chart

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// What Helm takes as a release's name is more than what Kubernetes takes as a Service's.
func TestNamesFitWhateverTheReleaseIsCalled(t *testing.T) {
	for _, release := range []string{"leoflow", "team.secrets", strings.Repeat("long", 13) + ".", "x-" + strings.Repeat("y", 47) + ".z"} {
		where := newest
		where.release = strings.TrimSuffix(release, ".")
		files := mustRender(t, where, nil)
		service := find[*corev1.Service](t, files, "Service", "-core")
		assert.Empty(t, validation.IsDNS1035Label(service.Name), service.Name)
		assert.Contains(t, driverFlags(t, files)["core-address"], service.Name+".")
	}
}
