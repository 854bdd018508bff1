// Package csi speaks CSI to kubelet. It checks what kubelet sends, turns it into
// a deliver.Volume and hands that on; it mounts, fetches and stores nothing itself.
package csi

import (
	"context"
	"log/slog"

	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
)

// Name is the CSI driver's name, as a pod writes it in volumes[].csi.driver.
const Name = seam.DriverName

// CoreAudience is the audience of the service-account tokens that core accepts,
// unless a Config says otherwise.
const CoreAudience = seam.CoreAudience

// CoreProvider is the name of the provider that cannot be asked without a token.
const CoreProvider = seam.CoreSource

// Deliverer is what the driver needs of delivery. Errors are *report.Error.
type Deliverer interface {
	// Publish delivers volume, for the first time or again. Where it fails it leaves
	// what was at volume.TargetPath as it was.
	Publish(ctx context.Context, volume deliver.Volume) error
	// Unpublish unmounts and removes targetPath, whichever volume is there. It succeeds if
	// there is nothing.
	Unpublish(ctx context.Context, volumeID, targetPath string) error
	// Health tells how the last delivery went; false if the volume is not known.
	Health(volumeID string) (report.Health, bool)
	// Stats measures the volume mounted at path, also one that was published before
	// this process started. It fails with report.Missing for anything else.
	Stats(path string) (deliver.Usage, error)
	// IsPublished tells whether a complete generation of the volume is at path, also one from
	// before this process started.
	IsPublished(volumeID, path string) bool
	// Unreachable says why providers, by name, could not be asked when last tried.
	Unreachable() map[string]string
}

// Observer is told of every call that kubelet makes, for whoever counts them. It returns
// at once and is safe for concurrent use.
type Observer interface {
	Called(report.Call)
}

// silent is the Observer of those who count nothing.
type silent struct{}

func (silent) Called(report.Call) {}

// Config is what a Driver is made of. Everything without "optional" is required.
type Config struct {
	NodeID    string
	Deliverer Deliverer
	// Providers are the names that the attribute "source" may have, one at least;
	// the first is for volumes that name none. It waits for who knows them, and its error is
	// that nobody does yet.
	Providers func(context.Context) ([]string, error)
	// MaxIDs is how many ids one volume may list; 0 for as many as its attributes take.
	MaxIDs int
	// Audience of the pod tokens for core; optional.
	Audience string
	Logger   *slog.Logger
	// Observer is told of every call; optional.
	Observer Observer
}

func (c Config) withDefaults() Config {
	if c.Audience == "" {
		c.Audience = CoreAudience
	}
	if c.Observer == nil {
		c.Observer = silent{}
	}
	return c
}
