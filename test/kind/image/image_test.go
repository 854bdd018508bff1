package image

import (
	"archive/tar"
	"errors"
	"io"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBuildIsReproducible(t *testing.T) {
	digests := map[string]string{}
	for range 2 {
		paths, err := Build(t.Context(), "..", t.TempDir())
		require.NoError(t, err)
		require.Len(t, paths, 2)
		for i, reference := range []string{Pause, Busybox} {
			tag, err := name.NewTag(reference)
			require.NoError(t, err)
			image, err := tarball.ImageFromPath(paths[i], &tag)
			require.NoError(t, err, "the archive holds the image by its name")
			digest, err := image.Digest()
			require.NoError(t, err)
			if first, seen := digests[reference]; seen {
				assert.Equal(t, first, digest.String(), reference)
			}
			digests[reference] = digest.String()
		}
	}
}

func TestBusyboxHasAShell(t *testing.T) {
	files, err := busyboxFiles(t.Context())
	require.NoError(t, err)
	headers := unpack(t, files)
	for _, name := range []string{"bin/sh", "bin/busybox", "tmp"} {
		require.NotNil(t, headers[name], name)
	}
	assert.Equal(t, "busybox", headers["bin/sh"].Linkname)
	assert.Positive(t, headers["bin/busybox"].Size)
	assert.Equal(t, byte(tar.TypeDir), headers["tmp"].Typeflag)
	assert.EqualValues(t, 0o1777, headers["tmp"].Mode)
}

// unpack assembles an image of the files and reads the headers of what a container would
// find.
func unpack(t *testing.T, files []file) map[string]*tar.Header {
	t.Helper()
	image, err := assemble(files, v1.Config{})
	require.NoError(t, err)
	content := mutate.Extract(image)
	defer func() { _ = content.Close() }()
	headers := map[string]*tar.Header{}
	for reader := tar.NewReader(content); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return headers
		}
		require.NoError(t, err)
		headers[header.Name] = header
	}
}
