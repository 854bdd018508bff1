package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

// What is the driver's alone. Its CSI messages would cost every node memory for nothing. What delivers, --into
// has too.
var ofTheDriver = regexp.MustCompile(`^(github\.com/leoflow/secrets-csi/(cmd/driver|internal/csi)|` +
	`github\.com/container-storage-interface/.*|k8s\.io/kubelet/.*)$`)

func TestTheFetcherLinksNothingOfTheDrivers(t *testing.T) {
	out, err := testwait.Command(t, "go", "list", "-tags", "grpcnotrace", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	require.NoError(t, err)
	packages := strings.Fields(string(out))
	assert.Greater(t, len(packages), 50)
	for _, name := range packages {
		assert.NotRegexp(t, ofTheDriver, name)
	}
}
