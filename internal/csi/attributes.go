package csi

import (
	"maps"
	"strings"

	"github.com/leoflow/secrets-csi/internal/attribute"
	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/excerpt"
)

// kubeletPrefix begins the keys that kubelet adds to the volume context.
const kubeletPrefix = "csi.storage.k8s.io/"

// attributesField is where a pod's author writes them.
const attributesField = "volumes[].csi.volumeAttributes"

// parseAttributes reads what the user asked for into the fields of a volume that come from there.
func parseAttributes(written map[string]string, providers []string) (deliver.Volume, error) {
	own := maps.Clone(written)
	maps.DeleteFunc(own, func(name, _ string) bool { return strings.HasPrefix(name, kubeletPrefix) })
	volume, err := attribute.Parse(own, providers, attributesField, fieldOf)
	if err != nil {
		return deliver.Volume{}, invalidf("%s", err)
	}
	return volume, nil
}

// fieldOf is the attribute's path in the pod, as kubectl writes such paths.
func fieldOf(attribute string) string {
	if attribute == "" || strings.ContainsFunc(attribute, isOutsideHeader) {
		return attributesField + "[" + excerpt.Quote(attribute) + "]"
	}
	return attributesField + "." + excerpt.Of(attribute)
}

// Check tells what is wrong with a volume as its author wrote it, without a pod or a node. sources are
// those that the driver serves.
func Check(fsType string, readOnly bool, attributes map[string]string, sources []string) error {
	if err := checkWritten(fsType, readOnly); err != nil {
		return err
	}
	_, err := parseAttributes(attributes, sources)
	return err
}
