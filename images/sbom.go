package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const module = "github.com/leoflow/secrets-csi"

// list writes what is in an image, as osv-scalibr finds it in the image's tar. What of
// its list would be another at each run is made to follow from the image.
func list(ctx context.Context, o options, r recipe, platform v1.Platform) error {
	path := filepath.Join(o.out, archiveName(r, platform))
	found, err := scan(ctx, o, path)
	if err != nil {
		return fmt.Errorf("listing the contents of %s: %w", path, err)
	}
	found.Metadata.Timestamp = time.Unix(o.created, 0).UTC().Format(time.RFC3339)
	found.Metadata.Authors = nil
	found.Metadata.Component = &cdx.Component{
		BOMRef: o.reference(r), Type: cdx.ComponentTypeContainer, Name: o.repository + "/" + r.name, Version: o.tag,
	}
	for i := range *found.Components {
		identify(&(*found.Components)[i], o.tag)
	}
	return write(found, strings.TrimSuffix(path, ".tar")+".cdx.json")
}

// identify gives a component the reference that everyone would, and the product's own
// module, which is not built from a published version, the version it was built as.
func identify(component *cdx.Component, tag string) {
	if component.Name == module {
		component.Version = tag
		component.PackageURL = "pkg:golang/" + module + "@" + tag
	}
	component.BOMRef = component.PackageURL
}

// scan runs the version of osv-scalibr that the product's tools pin.
func scan(ctx context.Context, o options, image string) (found *cdx.BOM, err error) {
	answer, err := os.CreateTemp("", "leoflow-contents-*.json")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, answer.Close(), os.Remove(answer.Name())) }()
	image, err = filepath.Abs(image)
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/sbom.mod", "scalibr",
		"-image-tarball="+image, "-plugins=go/binary", "-offline", "-o=cdx-json="+answer.Name())
	command.Dir = o.source
	if output, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, output)
	}
	found = cdx.NewBOM()
	if err := cdx.NewBOMDecoder(answer, cdx.BOMFileFormatJSON).Decode(found); err != nil {
		return nil, err
	}
	if found.Components == nil || len(*found.Components) == 0 {
		return nil, errors.New("nothing was found in it")
	}
	return found, nil
}

func write(found *cdx.BOM, path string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return cdx.NewBOMEncoder(file, cdx.BOMFileFormatJSON).SetPretty(true).Encode(found)
}
