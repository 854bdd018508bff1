package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// chartName begins the names of all files of a release.
const chartName = "leoflow-secrets-csi"

// packChart has helm package the chart under the release's version, and packs it anew:
// helm writes the time into it, and the modes that files have here.
func (r release) packChart(ctx context.Context) error {
	parts, err := filepath.Abs(r.parts)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/helm.mod", "helm", "package",
		filepath.Join("charts", chartName), "--version", string(r.version), "--app-version", r.version.tag(), "--destination", parts)
	command.Dir = r.root
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("packaging the chart: %w: %s", err, output)
	}
	return repack(filepath.Join(parts, r.chartFile()), filepath.Join(r.finished, r.chartFile()), r.committed)
}

// chartFile is named by helm.
func (r release) chartFile() string { return fmt.Sprintf("%s-%s.tgz", chartName, r.version) }

// repack copies an archive of documents, without what tells where and when it was made.
func repack(from, to string, made time.Time) error {
	files, err := readArchive(from)
	if err != nil {
		return fmt.Errorf("reading %s: %w", filepath.Base(from), err)
	}
	for i := range files {
		files[i].mode = 0o644
	}
	return writeArchive(to, made, files)
}
