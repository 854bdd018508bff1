package main

import (
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// excess says that an image outgrew its budget.
type excess struct {
	image  string
	size   int64
	budget int64
}

func (e *excess) Error() string {
	return fmt.Sprintf("%s has %s uncompressed; its budget is %s", e.image, megabytes(e.size), megabytes(e.budget))
}

// measure reports the image and checks its size.
func measure(o options, r recipe, platform v1.Platform, image v1.Image) error {
	uncompressed, compressed, err := sizes(image)
	if err != nil {
		return err
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	budget, verdict := "none", ""
	if r.budget > 0 {
		budget, verdict = megabytes(r.budget), "ok"
	}
	if r.budget > 0 && uncompressed > r.budget {
		verdict = "over"
	}
	o.report(fmt.Sprintf("%-8s %-12s %9s  packed %9s  budget %-9s %-4s  %s",
		r.name, platform, megabytes(uncompressed), megabytes(compressed), budget, verdict, digest))
	if verdict == "over" {
		return &excess{r.name + " for " + platform.String(), uncompressed, r.budget}
	}
	return nil
}

// sizes are the bytes of the layers, as a node unpacks and as a registry keeps them.
func sizes(image v1.Image) (uncompressed, compressed int64, err error) {
	layers, err := image.Layers()
	if err != nil {
		return 0, 0, err
	}
	for _, layer := range layers {
		packed, err := layer.Size()
		if err != nil {
			return 0, 0, err
		}
		compressed += packed
		content, err := layer.Uncompressed()
		if err != nil {
			return 0, 0, err
		}
		unpacked, err := io.Copy(io.Discard, content)
		if err != nil {
			return 0, 0, err
		}
		uncompressed += unpacked
	}
	return uncompressed, compressed, nil
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.2f MB", float64(bytes)/1e6) }
