package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/kube"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/seam"
)

// askRolloutEvery is how often the DaemonSet is looked at while it is rolled out.
const askRolloutEvery = time.Second

func awaitRolloutCommand() cli.Command {
	return cli.Command{
		Name:    "await-rollout",
		Summary: "Waits until every node that should have a driver has one that is ready.",
		Details: `The chart runs it after 'helm install' and 'helm upgrade': what --wait waits for lets one
node in ten, and the only node of a cluster, be without a driver. It asks the API server and
goes on until it is ended, and prints how far the nodes are whenever that changes.`,
		Examples: `fetcher await-rollout --namespace=leoflow --daemonset=leoflow-driver`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			kubeconfig := bindKubeconfig(flags)
			namespace := flags.String("namespace", "leoflow", "the `namespace` of the release")
			name := flags.String("daemonset", "leoflow-driver", "the `name` of the driver's DaemonSet")
			return func(ctx context.Context, streams cli.Streams, _ []string) error {
				workloads, err := openWorkloads(*kubeconfig)
				if err != nil {
					return err
				}
				read := func(ctx context.Context) (kube.Rollout, error) { return workloads.Rollout(ctx, *namespace, *name) }
				return awaitRollout(ctx, streams.Out, askRolloutEvery, read)
			}
		},
	}
}

// awaitRollout returns nil once the rollout is done. An API server that does not answer is
// asked again: it may be the upgrade that restarts it.
func awaitRollout(ctx context.Context, out io.Writer, every time.Duration, read func(context.Context) (kube.Rollout, error)) error {
	last := ""
	for {
		rollout, err := read(ctx)
		state := fmt.Sprintf("%d of %d nodes have a driver of this version that is ready", rollout.Ready, rollout.Nodes)
		if err != nil {
			state = err.Error()
		}
		if state != last {
			last = state
			if _, err := fmt.Fprintln(out, state); err != nil {
				return err
			}
		}
		if err == nil && rollout.Done() {
			return nil
		}
		if !pause.Wait(ctx, every) {
			return fmt.Errorf("giving up: %s", state)
		}
	}
}

func checkUnusedCommand() cli.Command {
	return cli.Command{
		Name:    "check-unused",
		Summary: "Fails while pods have volumes of this driver, and names them.",
		Details: `The chart runs it before 'helm uninstall' removes anything: without a driver kubelet cannot
unmount such volumes, and their pods cannot end. It lists the pods of all namespaces.`,
		Examples: `fetcher check-unused --kubeconfig=$HOME/.kube/config`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			kubeconfig := bindKubeconfig(flags)
			return func(ctx context.Context, _ cli.Streams, _ []string) error {
				workloads, err := openWorkloads(*kubeconfig)
				if err != nil {
					return err
				}
				pods, err := workloads.PodsWithVolume(ctx, seam.DriverName)
				if err != nil {
					return err
				}
				return refuseUsed(pods)
			}
		},
	}
}

// mostPodsNamed bounds the message; whoever has more sees how many.
const mostPodsNamed = 100

func refuseUsed(pods []string) error {
	if len(pods) == 0 {
		return nil
	}
	named := pods[:min(len(pods), mostPodsNamed)]
	rest := ""
	if more := len(pods) - len(named); more > 0 {
		rest = fmt.Sprintf("\n  and %d more", more)
	}
	return errors.New("these pods have volumes of " + seam.DriverName + ", and without the driver they could not end; " +
		"delete them first, or uninstall with --no-hooks:\n  " + strings.Join(named, "\n  ") + rest)
}

func openWorkloads(kubeconfig string) (*kube.Workloads, error) {
	config, err := kube.Config(kubeconfig)
	if err != nil {
		return nil, err
	}
	return kube.NewWorkloads(config)
}

func bindKubeconfig(flags *flag.FlagSet) *string {
	return flags.String("kubeconfig", "", "`file` that says how to reach the API server; empty in a pod")
}
