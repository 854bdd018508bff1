//go:build linux

package doctor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// volumes has a line for each volume that something is wrong with, and one for all
// others.
func volumes(_ context.Context, node Node) []Finding {
	const name = "volumes"
	mounted, err := mount.List()
	if err != nil {
		return failed(name, err.Error(), "run this where the driver runs: kubectl exec into its pod")
	}
	var findings []Finding
	good, oldest := 0, time.Duration(0)
	for _, info := range mounted {
		if !strings.HasPrefix(info.Target, node.PodsDir+"/") {
			continue
		}
		shown, err := mount.Current(info.Target)
		wrong := ailment(info.Target, shown, err)
		findings = append(findings, wrong...)
		if len(wrong) == 0 {
			good, oldest = good+1, max(oldest, time.Since(shown.Confirmed))
		}
	}
	switch {
	case good == 0 && len(findings) == 0:
		return fine(name, "there are none")
	case good == 0:
		return findings
	}
	return append(findings, fine(name, fmt.Sprintf("%d well; the oldest was confirmed %v ago", good, oldest.Round(time.Second)))...)
}

// ailment is what is wrong with the volume at target; nothing, if nothing is.
func ailment(target string, shown mount.Generation, err error) []Finding {
	name, age := "volume of pod "+podOf(target), time.Since(shown.Confirmed).Round(time.Second)
	staleAfter := time.Duration(shown.Manifest.StaleAfter) * time.Second
	switch {
	case errors.Is(err, mount.ErrNoGeneration):
		return warning(name, "it shows nothing yet", "look in the driver's log for this pod's deliveries; if the pod is gone, kubelet takes the volume away")
	case err != nil:
		return failed(name, err.Error(), "delete the pod, and report this with the driver's log")
	case staleAfter > 0 && age > staleAfter:
		return failed(name, fmt.Sprintf("its files were last confirmed %v ago", age), "look at core above and in the driver's log; kubelet refreshes an expired token only while the CSIDriver has requiresRepublish: true")
	case shown.Manifest.Offline:
		return warning(name, fmt.Sprintf("it was filled from the node's memory %v ago", age), "nothing, once core can be asked again")
	}
	return ailing(name, shown.Manifest)
}

// ailing has a line for each entry that is not as the pod wants it.
func ailing(name string, shown layout.Manifest) (findings []Finding) {
	for _, entry := range shown.Entries {
		switch {
		case entry.Held != nil:
			findings = append(findings, warning(name, fmt.Sprintf("the %s %q cannot be had since %v, and is as it was delivered before: %s",
				entry.Kind, entry.ID, entry.Held.Since.Format(time.RFC3339), entry.Held.Why), "mend what is said there; it is asked for again by itself")...)
		case entry.State != layout.Delivered && entry.Required:
			findings = append(findings, warning(name, fmt.Sprintf("the %s %q was withdrawn: %s", entry.Kind, entry.ID, entry.State),
				"have core's operator grant it again, or take it out of the pod")...)
		}
	}
	return findings
}

// podOf is the pod's UID in kubelet's path of a volume:
// PODS/UID/volumes/kubernetes.io~csi/NAME/mount.
func podOf(target string) string {
	for range 4 {
		target = filepath.Dir(target)
	}
	return filepath.Base(target)
}
