// Package attribute reads what a user asks for: the attributes of a volume in a pod, or the flags of the same
// names where there is no volume.
package attribute

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/excerpt"
	"github.com/leoflow/secrets-csi/internal/nearest"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/airflow"
)

// attribute is one that a user may write.
type attribute struct {
	name string
	// set reads the attribute's text into the field of a volume that comes from there.
	set func(volume *deliver.Volume, text string, providers []string) error
}

// The attributes' names.
const (
	Connections = "connections"
	Variables   = "variables"
	Source      = "source"
	Format      = "format"
	Mode        = "mode"
	Refresh     = "refresh"
	Keyless     = "keyless"
)

// attributes are all that there are. The chart's admission policy is made of them.
var attributes = []attribute{
	{Connections, func(volume *deliver.Volume, text string, providers []string) (err error) {
		volume.Connections, err = parseWanted(text, providers, airflow.ConnectionEnvName)
		return err
	}},
	{Variables, func(volume *deliver.Volume, text string, providers []string) (err error) {
		volume.Variables, err = parseWanted(text, providers, airflow.VariableEnvName)
		return err
	}},
	{Source, func(volume *deliver.Volume, text string, providers []string) (err error) {
		volume.Provider, err = parseChoice(text, providers)
		return err
	}},
	{Format, func(volume *deliver.Volume, text string, _ []string) error {
		format, err := parseChoice(text, []string{string(seam.URI), string(seam.JSON)})
		volume.Format = seam.Format(format)
		return err
	}},
	{Mode, func(volume *deliver.Volume, text string, _ []string) (err error) {
		volume.Mode, err = parseMode(text)
		return err
	}},
	{Refresh, func(volume *deliver.Volume, text string, _ []string) (err error) {
		volume.Refresh, err = parseRefresh(text)
		return err
	}},
	{Keyless, func(volume *deliver.Volume, text string, sources []string) error {
		keyless, err := parseWanted(text, sources, airflow.ConnectionEnvName)
		volume.Keyless = &keyless
		return err
	}},
}

// Names are all attributes' names.
func Names() (names []string) {
	for _, each := range attributes {
		names = append(names, each.name)
	}
	return names
}

// Bounds of the attribute "refresh": below, one volume would be a load on core by
// itself; above, the longest a withdrawn entry may outlive a missed notice.
const (
	minRefresh = 5 * time.Second
	maxRefresh = 24 * time.Hour
)

// defaultMode lets root and the pod's fsGroup read, and nobody else.
const defaultMode = 0o440

// Parse reads what the user wrote into the fields of a volume that come from there. It names every mistake
// at once, each by the field as the user wrote it, which field spells. sources are those that can be had, the default
// first; all are the fields together, for what no single one is at fault for.
func Parse(written map[string]string, sources []string, all string, field func(name string) string) (deliver.Volume, error) {
	volume := deliver.Volume{Mode: defaultMode, Format: seam.URI, Provider: sources[0]}
	var mistakes []error
	for _, name := range slices.Sorted(maps.Keys(written)) {
		if err := set(&volume, name, written[name], sources); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", field(name), err))
		}
	}
	if err := checkKeyless(volume); len(mistakes) == 0 && err != nil {
		mistakes = append(mistakes, fmt.Errorf("%s: %w", field(Keyless), err))
	}
	if len(mistakes) == 0 && asksForNothing(volume) {
		mistakes = append(mistakes, errors.New(all+`: nothing is asked for; list ids under "connections" or "variables"`))
	}
	if len(mistakes) > 0 {
		return deliver.Volume{}, errors.New(joined(mistakes))
	}
	return volume, nil
}

func set(volume *deliver.Volume, name, text string, providers []string) error {
	for _, each := range attributes {
		if each.name == name {
			return each.set(volume, text, providers)
		}
	}
	return unknown(name)
}

func unknown(name string) error {
	if name == "provider" { // what drafts of this driver called it
		return fmt.Errorf("is not an attribute; it is called %q now", Source)
	}
	if near, ok := nearest.Word(name, Names()); ok {
		return fmt.Errorf("is not an attribute; did you mean %q?", near)
	}
	return fmt.Errorf("is not an attribute; there are %s", strings.Join(Names(), ", "))
}

func parseChoice(text string, choices []string) (string, error) {
	if slices.Contains(choices, text) {
		return text, nil
	}
	return "", fmt.Errorf("%q cannot be had here; there is %s", excerpt.Of(text), strings.Join(choices, ", "))
}

// parseMode reads permission bits as a user writes them elsewhere in Kubernetes YAML:
// octal digits, with or without the zero in front.
func parseMode(text string) (uint32, error) {
	mode, err := strconv.ParseUint(text, 8, 32)
	switch {
	case err != nil || len(text) < 3 || len(text) > 4:
		return 0, fmt.Errorf("%q is not an octal mode; write it like \"0440\"", excerpt.Of(text))
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
		return 0, fmt.Errorf("%q is not a duration; write it like \"90s\" or \"5m\"", excerpt.Of(text))
	case refresh < minRefresh || refresh > maxRefresh:
		return 0, fmt.Errorf("%q is out of range; it may be %v to %v", excerpt.Of(text), minRefresh, maxRefresh)
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
			return fmt.Errorf("item %d: %s names a source; write the id alone, as its source stands under %q", i+1, excerpt.Quote(asWritten(name)), Connections)
		case !isListed && !volume.Connections.All:
			return fmt.Errorf("item %d: %s is not listed under %q; list it there, too, or leave it out", i+1, excerpt.Quote(name.ID), Connections)
		}
	}
	return nil
}

func asksForNothing(volume deliver.Volume) bool {
	return !volume.Connections.All && len(volume.Connections.Names) == 0 &&
		!volume.Variables.All && len(volume.Variables.Names) == 0
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
