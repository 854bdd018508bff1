package main

import (
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// assemble makes the image of a binary.
func assemble(o options, r recipe, platform v1.Platform, binary string) (v1.Image, error) {
	layers, err := r.layers(binary)
	if err != nil {
		return nil, err
	}
	base := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	image, err := mutate.Append(base, layers...)
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	o.describe(file, r, platform)
	return mutate.ConfigFile(image, file)
}

// layers begin with the one that changes least.
func (r recipe) layers(binary string) ([]mutate.Addendum, error) {
	var layers []mutate.Addendum
	add := func(name string, mode int64, content []byte) error {
		layer, err := layerOf(name, mode, content)
		layers = append(layers, mutate.Addendum{
			Layer: layer, MediaType: types.OCILayer,
			History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "add " + name},
		})
		return err
	}
	if r.roots {
		certificates, err := roots()
		if err != nil {
			return nil, err
		}
		if err := add(rootsPath, 0o644, certificates); err != nil {
			return nil, err
		}
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	return layers, add(r.binary(), 0o755, content)
}

// describe says how to run the image and what it is, in the labels of the OCI image
// specification.
func (o options) describe(file *v1.ConfigFile, r recipe, platform v1.Platform) {
	created := time.Unix(o.created, 0).UTC()
	file.OS, file.Architecture, file.Variant = platform.OS, platform.Architecture, platform.Variant
	file.Created = v1.Time{Time: created}
	labels := map[string]string{
		"org.opencontainers.image.title":       "leoflow-secrets-csi-" + r.name,
		"org.opencontainers.image.description": r.summary,
		"org.opencontainers.image.version":     o.tag,
		"org.opencontainers.image.created":     created.Format(time.RFC3339),
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.source":      "https://" + module,
	}
	if o.revision != "" {
		labels["org.opencontainers.image.revision"] = o.revision
	}
	file.Config = v1.Config{Entrypoint: []string{r.binary()}, User: r.user, WorkingDir: "/", Labels: labels}
}
