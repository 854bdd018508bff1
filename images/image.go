package main

import (
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// assemble makes an image, with a layer for each file.
func assemble(o options, r recipe, platform v1.Platform, files []file) (v1.Image, error) {
	var layers []mutate.Addendum
	for _, f := range files {
		layer, err := layerOf(f)
		if err != nil {
			return nil, err
		}
		layers = append(layers, mutate.Addendum{
			Layer: layer, MediaType: types.OCILayer,
			History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "add " + f.path},
		})
	}
	base := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	image, err := mutate.Append(base, layers...)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	o.describe(config, r, platform)
	return mutate.ConfigFile(image, config)
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
