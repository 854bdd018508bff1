package deliver

import (
	"os"
	"path/filepath"
	"strings"
)

// subPathContainers are the containers that mount a part of the volume at target by subPath. Kubelet
// binds such a part out of the generation that is shown when the container starts, at
//
//	POD/volume-subpaths/VOLUME/CONTAINER/N
//
// beside the volume's POD/volumes/kubernetes.io~csi/VOLUME/mount. A rotation deletes that
// generation: a directory goes empty in the container, a file keeps its old value.
func subPathContainers(target string) []string {
	volume, isKubelets := strings.CutSuffix(target, "/mount")
	pod, isCSI := strings.CutSuffix(filepath.Dir(volume), "/volumes/kubernetes.io~csi")
	if !isKubelets || !isCSI {
		return nil
	}
	entries, err := os.ReadDir(filepath.Join(pod, "volume-subpaths", filepath.Base(volume)))
	if err != nil { // most pods have none
		return nil
	}
	containers := make([]string, len(entries))
	for i, entry := range entries {
		containers[i] = entry.Name()
	}
	return containers
}
