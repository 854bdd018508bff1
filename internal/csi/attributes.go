package csi

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/airflow"
)

// volumeAttribute is one that a user may write under volumes[].csi.volumeAttributes.
type volumeAttribute struct {
	name string
	// set reads the attribute's text into the field of a volume that comes from there.
	set func(volume *deliver.Volume, text string, providers []string) error
}

// The attributes' names.
const (
	connectionsAttribute = "connections"
	variablesAttribute   = "variables"
	sourceAttribute      = "source"
	formatAttribute      = "format"
	modeAttribute        = "mode"
	refreshAttribute     = "refresh"
	keylessAttribute     = "keyless"
)

// attributes are all that there are. The chart's admission policy is made of them.
var attributes = []volumeAttribute{
	{connectionsAttribute, func(volume *deliver.Volume, text string, providers []string) (err error) {
		volume.Connections, err = parseWanted(text, providers, airflow.ConnectionEnvName)
		return err
	}},
	{variablesAttribute, func(volume *deliver.Volume, text string, providers []string) (err error) {
		volume.Variables, err = parseWanted(text, providers, airflow.VariableEnvName)
		return err
	}},
	{sourceAttribute, func(volume *deliver.Volume, text string, providers []string) (err error) {
		volume.Provider, err = parseChoice(text, providers)
		return err
	}},
	{formatAttribute, func(volume *deliver.Volume, text string, _ []string) error {
		format, err := parseChoice(text, []string{string(seam.URI), string(seam.JSON)})
		volume.Format = seam.Format(format)
		return err
	}},
	{modeAttribute, func(volume *deliver.Volume, text string, _ []string) (err error) {
		volume.Mode, err = parseMode(text)
		return err
	}},
	{refreshAttribute, func(volume *deliver.Volume, text string, _ []string) (err error) {
		volume.Refresh, err = parseRefresh(text)
		return err
	}},
	{keylessAttribute, func(volume *deliver.Volume, text string, providers []string) error {
		keyless, err := parseWanted(text, providers, airflow.ConnectionEnvName)
		volume.Keyless = &keyless
		return err
	}},
}

func attributeNames() (names []string) {
	for _, each := range attributes {
		names = append(names, each.name)
	}
	return names
}

// kubeletPrefix begins the keys that kubelet adds to the volume context.
const kubeletPrefix = "csi.storage.k8s.io/"

// Bounds of the attribute "refresh": below, one volume would be a load on core by
// itself; above, the longest a withdrawn entry may outlive a missed notice.
const (
	minRefresh = 5 * time.Second
	maxRefresh = 24 * time.Hour
)

// defaultMode lets root and the pod's fsGroup read, and nobody else.
const defaultMode = 0o440

// parseAttributes reads what the user asked for into the fields of a volume that come
// from there. It names every mistake at once, each by the field as the user wrote it.
func parseAttributes(written map[string]string, providers []string) (deliver.Volume, error) {
	volume := deliver.Volume{Mode: defaultMode, Format: seam.URI, Provider: providers[0]}
	var mistakes []error
	for _, name := range slices.Sorted(maps.Keys(written)) {
		if strings.HasPrefix(name, kubeletPrefix) {
			continue
		}
		if err := setAttribute(&volume, name, written[name], providers); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", fieldOf(name), err))
		}
	}
	if err := checkKeyless(volume); len(mistakes) == 0 && err != nil {
		mistakes = append(mistakes, fmt.Errorf("%s: %w", fieldOf(keylessAttribute), err))
	}
	if len(mistakes) == 0 && asksForNothing(volume) {
		mistakes = append(mistakes, errors.New(`volumes[].csi.volumeAttributes: nothing is asked for; list ids under "connections" or "variables"`))
	}
	if len(mistakes) > 0 {
		return deliver.Volume{}, invalidf("%s", joined(mistakes))
	}
	return volume, nil
}

func setAttribute(volume *deliver.Volume, name, text string, providers []string) error {
	for _, each := range attributes {
		if each.name == name {
			return each.set(volume, text, providers)
		}
	}
	return unknownAttribute(name)
}

func unknownAttribute(name string) error {
	if name == "provider" { // what drafts of this driver called it
		return fmt.Errorf("is not an attribute; it is called %q now", sourceAttribute)
	}
	if near, ok := nearest(name, attributeNames()); ok {
		return fmt.Errorf("is not an attribute; did you mean %q?", near)
	}
	return fmt.Errorf("is not an attribute; there are %s", strings.Join(attributeNames(), ", "))
}

func parseChoice(text string, choices []string) (string, error) {
	if slices.Contains(choices, text) {
		return text, nil
	}
	return "", fmt.Errorf("%q cannot be had here; there is %s", shorten(text), strings.Join(choices, ", "))
}

// parseMode reads permission bits as a user writes them elsewhere in Kubernetes YAML:
// octal digits, with or without the zero in front.
func parseMode(text string) (uint32, error) {
	mode, err := strconv.ParseUint(text, 8, 32)
	switch {
	case err != nil || len(text) < 3 || len(text) > 4:
		return 0, fmt.Errorf("%q is not an octal mode; write it like \"0440\"", shorten(text))
	case mode > 0o777:
		return 0, fmt.Errorf("%q has bits other than permissions; write it like \"0440\"", text)
	case mode&0o444 == 0:
		return 0, fmt.Errorf("%q lets nobody read; write it like \"0440\"", text)
	}
	return uint32(mode), nil
}

func parseRefresh(text string) (time.Duration, error) {
	refresh, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration; write it like \"90s\" or \"5m\"", shorten(text))
	case refresh < minRefresh || refresh > maxRefresh:
		return 0, fmt.Errorf("%q is out of range; it may be %v to %v", shorten(text), minRefresh, maxRefresh)
	}
	return refresh, nil
}

// checkKeyless wants every id under "keyless" to be one that is asked for.
func checkKeyless(volume deliver.Volume) error {
	if volume.Keyless == nil {
		return nil
	}
	for i, name := range volume.Keyless.Names {
		isListed := slices.ContainsFunc(volume.Connections.Names, func(asked deliver.WantedName) bool { return asked.ID == name.ID })
		switch {
		case name.Source != "":
			return fmt.Errorf("item %d: %s names a source; write the id alone, as its source stands under %q", i+1, quote(asWritten(name)), connectionsAttribute)
		case !isListed && !volume.Connections.All:
			return fmt.Errorf("item %d: %s is not asked for; list it under %q too", i+1, quote(name.ID), connectionsAttribute)
		}
	}
	return nil
}

func asksForNothing(volume deliver.Volume) bool {
	return !volume.Connections.All && len(volume.Connections.Names) == 0 &&
		!volume.Variables.All && len(volume.Variables.Names) == 0
}

// fieldOf is the attribute's path in the pod, as kubectl writes such paths.
func fieldOf(attribute string) string {
	const parent = "volumes[].csi.volumeAttributes"
	if attribute == "" || strings.ContainsFunc(attribute, isOutsideHeader) {
		return parent + "[" + quote(attribute) + "]"
	}
	return parent + "." + shorten(attribute)
}

// joined is errors in one line, since kubelet's events are lines, and short ones.
func joined(errs []error) string {
	const most = 20
	var texts []string
	for _, err := range errs[:min(most, len(errs))] {
		texts = append(texts, err.Error())
	}
	if more := len(errs) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

// shorten keeps a message readable when the text it quotes is not.
func shorten(text string) string { return cutTo(64, text) }

func cutTo(most int, text string) string {
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
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
