package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// options are the flags.
type options struct {
	source, out string
	tag         string
	repository  string
	recipes     []recipe
	platforms   []v1.Platform
	// sbom says to list what is in the images.
	sbom bool
	// report receives one line for each image.
	report func(line string)
}

// reference is what the image is called.
func (o options) reference(r recipe) string { return o.repository + "/" + r.name + ":" + o.tag }

// build makes every image. It goes on past one that exceeds its budget, to tell of all.
func build(ctx context.Context, o options) error {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	binaries, err := os.MkdirTemp("", "leoflow-images")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(binaries) }()
	var excesses []error
	for _, r := range o.recipes {
		err := buildImage(ctx, o, r, binaries)
		var excess *excess
		switch {
		case errors.As(err, &excess):
			excesses = append(excesses, err)
		case err != nil:
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return errors.Join(excesses...)
}

// buildImage makes one image for all platforms.
func buildImage(ctx context.Context, o options, r recipe, binaries string) error {
	var index v1.ImageIndex = empty.Index
	var excesses []error
	for _, platform := range o.platforms {
		image, err := buildPlatform(ctx, o, r, platform, binaries)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
		excesses = append(excesses, measure(o, r, platform, image))
	}
	return errors.Join(append(excesses, writeLayout(o, r, index))...)
}

func buildPlatform(ctx context.Context, o options, r recipe, platform v1.Platform, binaries string) (v1.Image, error) {
	binary := filepath.Join(binaries, r.name+"-"+platform.Architecture)
	if err := compile(ctx, o, r.name, platform, binary); err != nil {
		return nil, err
	}
	image, err := assemble(r, o.tag, platform, binary)
	if err != nil {
		return nil, err
	}
	if err := writeArchive(o, r, platform, image); err != nil || !o.sbom {
		return image, err
	}
	return image, list(ctx, o, r, platform)
}
