//go:build soak

package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/pkg/mount"
)

// usage is what the node takes when nothing happens.
type usage struct {
	descriptors, mounts, goroutines int
	anonymous                       int64
}

func (u usage) String() string {
	return fmt.Sprintf("%d descriptors, %d mounts, %.1f MiB anonymous, %d goroutines", u.descriptors, u.mounts, float64(u.anonymous)/(1<<20), u.goroutines)
}

// compare allows for what is not a leak: a connection that is being made anew, and a heap
// that has found its size.
func (u usage) compare(first usage) error {
	var errs []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(u.descriptors > first.descriptors+1, "%d descriptors were %d", u.descriptors, first.descriptors)
	refuse(u.mounts != first.mounts, "%d mounts were %d", u.mounts, first.mounts)
	refuse(u.anonymous > first.anonymous+first.anonymous/10+2<<20, "%d bytes of memory were %d", u.anonymous, first.anonymous)
	refuse(u.goroutines > first.goroutines+4, "%d goroutines were %d", u.goroutines, first.goroutines)
	return errors.Join(errs...)
}

// rest lets the node come to itself, makes sure that every volume is right, and measures.
func (n *node) rest(ctx context.Context) (usage, error) {
	for len(n.pods) > residents {
		if err := n.unpublish(ctx); err != nil {
			return usage{}, err
		}
	}
	if err := n.allow(ctx); err != nil {
		return usage{}, err
	}
	if err := n.converge(ctx); err != nil {
		return usage{}, err
	}
	// Until connections that were given up have gone, too.
	if err := n.pause(ctx, 15*time.Second); err != nil {
		return usage{}, err
	}
	if err := n.collect(ctx); err != nil {
		return usage{}, err
	}
	return n.measure(ctx)
}

// collect has the driver collect its garbage twice, as an idle one does within four
// minutes, and leaves it the time to give back what is free then.
func (n *node) collect(ctx context.Context) error {
	for range 2 {
		if err := errors.Join(n.Collect(ctx), n.pause(ctx, 5*time.Second)); err != nil {
			return err
		}
	}
	return nil
}

// converge is kubelet's rounds until every volume is right.
func (n *node) converge(ctx context.Context) error {
	for deadline := time.Now().Add(2 * time.Minute); ; {
		var wrong error
		for _, pod := range n.pods {
			wrong = errors.Join(wrong, n.isRight(pod))
		}
		if wrong == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the volumes do not come right: %w\n%s", wrong, n.NodeOutput())
		}
		if err := errors.Join(n.republish(ctx), n.pause(ctx, time.Second)); err != nil {
			return err
		}
	}
}

func (n *node) measure(ctx context.Context) (u usage, err error) {
	if u.goroutines, err = n.Goroutines(ctx); err != nil {
		return u, err
	}
	descriptors, err := os.ReadDir("/proc/" + n.Driver.ID() + "/fd")
	if err != nil {
		return u, err
	}
	u.descriptors = len(descriptors)
	infos, err := mount.List()
	if err != nil {
		return u, err
	}
	for _, info := range infos {
		if strings.HasPrefix(info.Target, n.Dir) {
			u.mounts++
		}
	}
	text, err := os.ReadFile("/proc/" + n.Driver.ID() + "/smaps_rollup")
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); fields[0] == "Anonymous:" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			u.anonymous = kilobytes << 10
			return u, err
		}
	}
	return u, errors.New("the driver has no anonymous memory")
}
