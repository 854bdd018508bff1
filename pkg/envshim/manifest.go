package envshim

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

const maxManifestSize = 16 << 20

func readManifest(generation *os.Root) (layout.Manifest, error) {
	content, err := readRegular(generation, layout.ManifestFile, maxManifestSize)
	if err != nil {
		return layout.Manifest{}, err
	}
	var manifest layout.Manifest
	switch err := json.Unmarshal(content, &manifest); {
	case err != nil:
		return layout.Manifest{}, fmt.Errorf("decoding: %w", err)
	case manifest.Schema < 1 || manifest.Schema > layout.Schema:
		return layout.Manifest{}, fmt.Errorf("schema %d is not known to this agent, which reads up to %d: use the agent of the driver's release", manifest.Schema, layout.Schema)
	case len(manifest.Entries) > maxEntries:
		return layout.Manifest{}, fmt.Errorf("%d entries are more than a reader accepts", len(manifest.Entries))
	}
	return manifest, nil
}
