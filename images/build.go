package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// options are the flags.
type options struct {
	source, out string
	// binaries is where the programs are left; empty for a place that is deleted.
	binaries   string
	tag        string
	revision   string
	created    int64
	repository string
	recipes    []recipe
	platforms  []v1.Platform
	// sbom says to list what is in the images.
	sbom bool
	// report receives one line for each image.
	report func(line string)
}

// reference is what the image is called.
func (o options) reference(r recipe) string { return o.repository + "/" + r.name + ":" + o.tag }

// build makes every image. It goes on past one that exceeds its budget, to tell of all.
func build(ctx context.Context, o options) (err error) {
	if o.binaries == "" {
		if o.binaries, err = os.MkdirTemp("", "leoflow-images"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.binaries)) }()
	}
	for _, directory := range []string{o.out, o.binaries} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
	}
	var excesses []error
	var digests strings.Builder
	for _, r := range o.recipes {
		index, err := buildImage(ctx, o, r)
		var excess *excess
		switch {
		case errors.As(err, &excess):
			excesses = append(excesses, err)
		case err != nil:
			return fmt.Errorf("%s: %w", r.name, err)
		}
		_, _ = fmt.Fprintf(&digests, "%s@%s\n", o.reference(r), index)
	}
	return errors.Join(append(excesses, os.WriteFile(filepath.Join(o.out, digestsFile), []byte(digests.String()), 0o644))...)
}

// digestsFile tells what each image, of all platforms, is to be pinned by.
const digestsFile = "digests.txt"

// buildImage makes one image for all platforms, and returns its digest.
func buildImage(ctx context.Context, o options, r recipe) (v1.Hash, error) {
	var index v1.ImageIndex = empty.Index
	var excesses []error
	for _, platform := range o.platforms {
		image, err := buildPlatform(ctx, o, r, platform)
		if err != nil {
			return v1.Hash{}, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
		excesses = append(excesses, measure(o, r, platform, image))
	}
	if err := writeLayout(o, r, index); err != nil {
		return v1.Hash{}, err
	}
	digest, err := index.Digest()
	return digest, errors.Join(append(excesses, err)...)
}

func buildPlatform(ctx context.Context, o options, r recipe, platform v1.Platform) (v1.Image, error) {
	files, err := r.files(ctx, o, platform)
	if err != nil {
		return nil, err
	}
	image, err := assemble(o, r, platform, files)
	if err != nil {
		return nil, err
	}
	if err := writeArchive(o, r, platform, image); err != nil || !o.sbom {
		return image, err
	}
	return image, list(ctx, o, r, platform)
}
