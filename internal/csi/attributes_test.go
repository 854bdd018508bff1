package csi

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/attribute"
	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/seam"
)

// The refusals are rows of TestPublishRefusesBadAttributes.
func TestParseAttributes(t *testing.T) {
	base := deliver.Volume{
		Mode: 0o440, Format: seam.URI, Provider: "core",
		Connections: deliver.Wanted{Names: []deliver.WantedName{{ID: "warehouse"}}},
	}
	for _, row := range []struct {
		name, attribute, text string
		want                  func(volume *deliver.Volume)
	}{
		{"defaults", "connections", "warehouse", func(*deliver.Volume) {}},
		{"optional", "connections", "warehouse?", func(v *deliver.Volume) { v.Connections.Names[0].Optional = true }},
		{"white space", "connections", " \n a ,\tb? \n", func(v *deliver.Volume) {
			v.Connections.Names = []deliver.WantedName{{ID: "a"}, {ID: "b", Optional: true}}
		}},
		{"all", "connections", " * ", func(v *deliver.Volume) { v.Connections = deliver.Wanted{All: true} }},
		{"variables", "variables", "a key", func(v *deliver.Volume) {
			v.Variables.Names = []deliver.WantedName{{ID: "a key"}}
		}},
		{"source", "source", "file", func(v *deliver.Volume) { v.Provider = "file" }},
		{"ids with sources", "connections", "a, b@file, c@core?", func(v *deliver.Volume) {
			v.Connections.Names = []deliver.WantedName{{ID: "a"}, {ID: "b", Source: "file"}, {ID: "c", Source: "core", Optional: true}}
		}},
		{"key with an @", "variables", "mail@example.org@file", func(v *deliver.Volume) {
			v.Variables.Names = []deliver.WantedName{{ID: "mail@example.org", Source: "file"}}
		}},
		{"format", "format", "json", func(v *deliver.Volume) { v.Format = seam.JSON }},
		{"mode", "mode", "0444", func(v *deliver.Volume) { v.Mode = 0o444 }},
		{"mode without the zero", "mode", "400", func(v *deliver.Volume) { v.Mode = 0o400 }},
		{"refresh", "refresh", "90s", func(v *deliver.Volume) { v.Refresh = 90 * time.Second }},
		{"keyless", "keyless", " warehouse? ", func(v *deliver.Volume) {
			v.Keyless = &deliver.Wanted{Names: []deliver.WantedName{{ID: "warehouse", Optional: true}}}
		}},
		{"all keyless", "keyless", "*", func(v *deliver.Volume) { v.Keyless = &deliver.Wanted{All: true} }},
		{"none keyless", "keyless", "", func(v *deliver.Volume) { v.Keyless = &deliver.Wanted{} }},
		{"kubelet's own", kubeletPrefix + "pod.name", "task", func(*deliver.Volume) {}},
	} {
		t.Run(row.name, func(t *testing.T) {
			attributes := map[string]string{"connections": "warehouse"}
			attributes[row.attribute] = row.text
			want := base
			want.Connections.Names = slices.Clone(base.Connections.Names)
			row.want(&want)
			got, err := parseAttributes(attributes, []string{"core", "file"})
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func FuzzParseAttributes(f *testing.F) {
	f.Add("connections", "warehouse, gcp_default, reporting?", "variables", "*")
	f.Add("connections", "a,,b", "mode", "0999")
	f.Add("connections", "a@file, b@core?", "variables", "a@b@file, @, ?@core")
	f.Add("refresh", "5m", "format", "json")
	f.Add("connections", "a, b", "keyless", "b?, a")
	f.Add("csi.storage.k8s.io/pod.name", "x", "variables", "ünïcode, \x00, a\nb")
	f.Add("mode", strings.Repeat("\x80", 65), "a\nb", "")
	providers := []string{"core", "file"}
	f.Fuzz(func(t *testing.T, name1, text1, name2, text2 string) {
		attributes := map[string]string{name1: text1, name2: text2}
		before := maps.Clone(attributes)
		volume, err := parseAttributes(attributes, providers)
		assert.Equal(t, before, attributes, "attributes are only read")
		if err != nil {
			assert.Equal(t, codes.InvalidArgument, status.Code(err))
			assert.True(t, strings.HasPrefix(status.Convert(err).Message(), "volumes[].csi.volumeAttributes"))
			return
		}
		assert.True(t, volume.Connections.All || volume.Variables.All || volume.IDs() > 0)
		assert.Contains(t, providers, volume.Provider)
		assert.NotZero(t, volume.Mode&0o444)
		assert.Zero(t, volume.Mode&^0o777)
		for _, wanted := range []deliver.Wanted{volume.Connections, volume.Variables} {
			checkWanted(t, wanted)
		}
	})
}

// checkWanted holds what delivery relies on.
func checkWanted(t *testing.T, wanted deliver.Wanted) {
	assert.False(t, wanted.All && len(wanted.Names) > 0)
	assert.LessOrEqual(t, len(wanted.Names), attribute.MaxIDs)
	seen := map[string]bool{}
	for _, name := range wanted.Names {
		assert.NotEmpty(t, name.ID)
		assert.NotContains(t, name.ID, "\x00")
		assert.NotContains(t, name.ID, ",")
		assert.Contains(t, []string{"", "core", "file"}, name.Source)
		assert.False(t, seen[name.ID], "%q twice", name.ID)
		seen[name.ID] = true
	}
}
