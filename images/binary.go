package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/leoflow/secrets-csi/internal/cli"
)

const (
	versionVariable = module + "/internal/version.Version"
	commitVariable  = module + "/internal/version.Commit"
)

// compile builds the command of the product to the file out. Nothing of this machine
// gets into the binary: no path, no C library, no state of the checkout, and no setting
// of Go's environment that changes code.
func compile(ctx context.Context, o options, name string, platform v1.Platform, out string) error {
	command := goCommand(ctx, o, platform, "build", "-mod=readonly", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -X "+versionVariable+"="+o.tag+" -X "+commitVariable+"="+o.revision, "-o", out, "./cmd/"+name)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s for %s: %w: %s", name, platform, err, output)
	}
	return nil
}

// goCommand runs go on the product for the platform.
func goCommand(ctx context.Context, o options, platform v1.Platform, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = o.source
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+platform.OS, "GOARCH="+platform.Architecture,
		"GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off")
	return command
}

func parsePlatforms(list string) ([]v1.Platform, error) {
	var platforms []v1.Platform
	for text := range strings.SplitSeq(list, ",") {
		platform, err := v1.ParsePlatform(text)
		if err != nil || platform.OS != "linux" || platform.Architecture == "" {
			return nil, cli.Usagef("--platforms: %q is no platform of ours; write it like linux/amd64", text)
		}
		platforms = append(platforms, *platform)
	}
	return platforms, nil
}
