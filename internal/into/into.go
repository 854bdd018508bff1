// Package into delivers into a directory where no driver can mount a volume: both halves of a node's
// daemon in one process, for one pod, which is its own. What a delivery is made of, and what becomes of each
// entry, package deliver decides as it does for a volume; here are what takes kubelet's place: who asks, when, and
// with which token.
package into

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/filewatch"
	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount"
)

// Config is what a delivery into a directory is made of.
type Config struct {
	Folder  *mount.Folder
	Fetcher seam.Fetcher
	// Wanted is what is asked for: the fields of a volume that attributes set.
	Wanted deliver.Volume
	Tokens Tokens
	// VolumeSize is the most bytes that the files may take.
	VolumeSize int64
	// PollEvery is how often to fetch again where a source does not tell of changes.
	PollEvery time.Duration
	// Waiting is told what a delivery waits for, whenever that is something else, and nil once it is made.
	// The field may be nil.
	Waiting func(why error)
	// Readers are told what happens.
	report.Readers
}

const (
	// minRefresh is how long nothing is fetched that nothing calls for, for each hundred ids.
	minRefresh = 5 * time.Second
	// lookEvery is how often the tokens and the files are looked at, though nothing told of a change.
	lookEvery = 10 * time.Second
	// retryEvery is the pause between tries while a source cannot be asked.
	retryEvery = 500 * time.Millisecond
	// volumeID is that of the only volume.
	volumeID = "into"
)

// Into is a delivery into a directory.
type Into struct {
	Config
	deliverer *deliver.Deliverer
}

// New asks nobody yet.
func New(config Config) *Into {
	config.Readers = report.Complete(config.Readers)
	if config.Waiting == nil {
		config.Waiting = func(error) {}
	}
	return &Into{config, deliver.New(deliver.Config{
		Fetcher: config.Fetcher, Place: deliver.Folder{Folder: config.Folder},
		VolumeSize: config.VolumeSize, PollEvery: config.PollEvery, MinRefresh: minRefresh, Readers: config.Readers,
	})}
}

// Once delivers and ends. While a source cannot be asked it tries again until ctx ends. The error is why the
// directory is not as it was asked for; what it showed before stays, but for what was taken away.
func (i *Into) Once(ctx context.Context) error {
	return i.until(ctx, i.deliverer.Refresh)
}

// Watch delivers, and keeps the directory as it should be until ctx ends, with the tokens that stand in
// their files then. A first delivery that is refused is an error.
func (i *Into) Watch(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return i.deliverer.Run(ctx) })
	group.Go(func() error {
		err := i.until(ctx, i.deliverer.Publish)
		select {
		case <-ctx.Done(): // who ends it does not ask how that went
			return nil
		default:
		}
		if err != nil {
			return err
		}
		i.Log.InfoContext(ctx, "the directory is complete", logkey.Path, i.Folder.Path())
		filewatch.Watch(ctx, i.Log, filewatch.Places{Files: i.Tokens.All()}, lookEvery, func() { i.renew(ctx) })
		return nil
	})
	return group.Wait()
}

// renew takes in new tokens, and brings back files that somebody deleted.
func (i *Into) renew(ctx context.Context) {
	volume, err := i.volume()
	if err == nil {
		err = i.deliverer.Publish(ctx, volume)
	}
	if err != nil && ctx.Err() == nil {
		i.Log.WarnContext(ctx, "the files stay as they are", logkey.Error, err)
	}
}

// until does it again as long as a source cannot be asked. Once ctx ends the error is what it waited for.
func (i *Into) until(ctx context.Context, do func(context.Context, deliver.Volume) error) error {
	var waiting *report.Error
	for {
		volume, err := i.volume()
		if err == nil {
			err = do(ctx, volume)
		}
		var failure *report.Error
		switch {
		case err == nil:
			i.Waiting(nil)
			return nil
		case ctx.Err() != nil && waiting != nil:
			return waiting
		case !errors.As(err, &failure), failure.Reason != report.Unavailable:
			return err
		}
		if waiting == nil || waiting.Error() != failure.Error() {
			i.Log.WarnContext(ctx, "waiting for a source", logkey.Error, err)
			i.Waiting(failure)
		}
		waiting = failure
		if !pause.Wait(ctx, retryEvery) {
			return waiting
		}
	}
}

// volume is what is asked for, by whom.
func (i *Into) volume() (deliver.Volume, error) {
	volume := i.Wanted
	volume.ID, volume.TargetPath, volume.Group = volumeID, i.Folder.Path(), uint32(i.Folder.Group())
	var err error
	if volume.Pod, err = i.Tokens.Identity(); err == nil && volume.Asks(seam.CoreSource) {
		_, err = i.Tokens.Core()
	}
	if err != nil {
		return deliver.Volume{}, report.Failf(report.Unauthenticated, err, "%v", err)
	}
	return volume, nil
}

// Problem is what keeps the directory from being as it was asked for; nil if nothing does.
func (i *Into) Problem() error {
	has, err := i.Folder.HasFiles()
	switch {
	case err != nil:
		return err
	case !has:
		return fmt.Errorf("%s is not complete yet", i.Folder.Path())
	}
	return nil
}
