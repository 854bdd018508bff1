package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

// What the driver may link of our own, and of others. A package that is missing here asks, decides or
// parses what came from the network, or has to be thought about.
var linked = regexp.MustCompile(`^(github\.com/leoflow/secrets-csi/(cmd/driver|` +
	`internal/(attribute|budget|cache|cgroup|claim|cli|csi|daemon|deliver|doctor|excerpt|jsontext|logkey|nearest|outage|pages|pause|regular|regular/pair|report|schedule|seam|seam/wire|turn|unixsocket|version)|` +
	`pkg/(airflow|mount|mount/layout|mount/layout/filename|provider/call|secret))|` +
	`github\.com/container-storage-interface/spec/lib/go/csi|k8s\.io/kubelet/pkg/apis/pluginregistration/v1|` +
	`golang\.org/x/(net|sync|sys|text)/.*|google\.golang\.org/(grpc|protobuf|genproto/googleapis/rpc/status)(/.*)?)$`)

func TestTheDriverLinksNothingThatAsks(t *testing.T) {
	out, err := testwait.Command(t, "go", "list", "-tags", "grpcnotrace", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	require.NoError(t, err)
	packages := strings.Fields(string(out))
	assert.Greater(t, len(packages), 50)
	for _, name := range packages {
		assert.Regexp(t, linked, name)
	}
}
