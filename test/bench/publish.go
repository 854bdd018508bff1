package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/leoflow/secrets-csi/test/stack"
)

const publishRounds = 300

// calls are kubelet's for one pod's volume. The directories that kubelet makes for them are
// there before, and are not measured.
type calls struct {
	node      csi.NodeClient
	publish   *csi.NodePublishVolumeRequest
	unpublish *csi.NodeUnpublishVolumeRequest
}

func callsFor(kubelet *stack.Kubelet, pod stack.Pod) (calls, error) {
	target := kubelet.Target(pod)
	request, err := kubelet.PublishRequest(pod)
	if err != nil {
		return calls{}, err
	}
	return calls{kubelet.Node, request, &csi.NodeUnpublishVolumeRequest{VolumeId: pod.VolumeID(), TargetPath: target}},
		os.MkdirAll(filepath.Dir(target), 0o750)
}

// beside starts a stack and a bare driver, and measures there by the calls for n pods of each.
func (b *bench) beside(ctx context.Context, n int, measure func(dir string, ours, peers []calls) error) error {
	return b.on(ctx, 0, func(s *stack.Stack, _ []stack.Pod) (err error) {
		other, err := startPeer(ctx, s)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, other.close()) }()
		ours, peers, err := callsForBoth(s, other, n)
		if err != nil {
			return err
		}
		return measure(s.Dir, ours, peers)
	})
}

// callsForBoth are those for n pods, of the driver and of the bare one.
func callsForBoth(s *stack.Stack, other *peer, n int) (ours, peers []calls, err error) {
	all, err := pods(s, n)
	if err != nil {
		return nil, nil, err
	}
	ours, peers = make([]calls, n), make([]calls, n)
	for i, pod := range all {
		var failed error
		ours[i], err = callsFor(s.Kubelet, pod)
		peers[i], failed = callsFor(other.kubelet, pod)
		if err = errors.Join(err, failed); err != nil {
			return nil, nil, err
		}
	}
	return ours, peers, nil
}

func (c calls) pair(ctx context.Context) (publish, unpublish time.Duration, err error) {
	start := time.Now()
	if _, err := c.node.NodePublishVolume(ctx, c.publish); err != nil {
		return 0, 0, err
	}
	published := time.Now()
	_, err = c.node.NodeUnpublishVolume(ctx, c.unpublish)
	return published.Sub(start), time.Since(published), err
}

// publish measures one publish and one unpublish at a time, through kubelet's socket.
func (b *bench) publish(ctx context.Context) error {
	return b.beside(ctx, 1, func(dir string, ours, peers []calls) error {
		return b.oneByOne(ctx, filepath.Join(dir, "bare"), ours[0], peers[0])
	})
}

func (b *bench) oneByOne(ctx context.Context, bare string, ours, peer calls) error {
	var publishes, unpublishes, peerPublishes, mounts, unmounts durations
	for round := range publishRounds + 20 {
		published, unpublished, err := ours.pair(ctx)
		if err != nil {
			return err
		}
		peerPublished, _, err := peer.pair(ctx)
		if err != nil {
			return err
		}
		mounted, unmounted, err := bareVolume(bare)
		if err != nil {
			return err
		}
		if round < 20 { // warm-up
			continue
		}
		publishes, mounts = append(publishes, published), append(mounts, mounted)
		unpublishes, unmounts = append(unpublishes, unpublished), append(unmounts, unmounted)
		peerPublishes = append(peerPublishes, peerPublished)
	}
	const of = "bare mount and write"
	b.times("publish, 10 connections, p50", publishes.at(.5), mounts.at(.5), of, 0)
	b.times("the same, p50", publishes.at(.5), peerPublishes.at(.5), "bare driver and core", 2)
	b.times("publish, 10 connections, p99", publishes.at(.99), mounts.at(.99), of, 0)
	b.times("unpublish, p50", unpublishes.at(.5), unmounts.at(.5), "bare unmount", 0)
	return nil
}

// sustained measures how many volumes a node publishes and unpublishes in a second, for
// several callers at once, each with a volume of its own. The floor is as many bare volumes,
// in turn with the others.
func (b *bench) sustained(ctx context.Context) error {
	return b.beside(ctx, callers, func(dir string, ours, peers []calls) error { return b.atOnce(ctx, dir, ours, peers) })
}

// callers publish at once.
const callers = 16

func (b *bench) atOnce(ctx context.Context, dir string, nodes, peers []calls) error {
	const pairs, turns, least = 600, 5, 1. / 3
	ours, theirs, bare := time.Duration(0), time.Duration(0), time.Duration(0)
	for range turns {
		took, err := atOnce(callers, pairs, func(i int) error { _, _, err := nodes[i].pair(ctx); return err })
		if err != nil {
			return err
		}
		ours += took
		if took, err = atOnce(callers, pairs, func(i int) error { _, _, err := peers[i].pair(ctx); return err }); err != nil {
			return err
		}
		theirs += took
		took, err = atOnce(callers, pairs, func(i int) error {
			_, _, err := bareVolume(filepath.Join(dir, "bare-"+strconv.Itoa(i)))
			return err
		})
		if err != nil {
			return err
		}
		bare += took
	}
	rate, floor := pairs*turns/ours.Seconds(), pairs*turns/bare.Seconds()
	b.line("publish and unpublish, 16 at once, per second", fmt.Sprintf("%.0f", rate), fmt.Sprintf("%.0f bare volumes", floor),
		fmt.Sprintf("%.0f %%", 100*rate/floor), none, true, rate/floor)
	peer := pairs * turns / theirs.Seconds()
	b.line("the same, per second", fmt.Sprintf("%.0f", rate), fmt.Sprintf("%.0f bare driver and core", peer), fmt.Sprintf("%.0f %%", 100*rate/peer), fmt.Sprintf("≥ %.0f %%", 100*least), rate >= least*peer, rate/peer)
	return nil
}

// atOnce tells how long several callers take to do something so many times.
func atOnce(callers, total int, do func(caller int) error) (time.Duration, error) {
	var left atomic.Int64
	left.Store(int64(total))
	errs := make([]error, callers)
	var group sync.WaitGroup
	start := time.Now()
	for i := range callers {
		group.Go(func() {
			for left.Add(-1) >= 0 && errs[i] == nil {
				errs[i] = do(i)
			}
		})
	}
	group.Wait()
	return time.Since(start), errors.Join(errs...)
}
