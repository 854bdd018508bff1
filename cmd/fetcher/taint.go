package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/leoflow/secrets-csi/internal/kube"
	"github.com/leoflow/secrets-csi/internal/kube/startuptaint"
	"github.com/leoflow/secrets-csi/internal/seam"
)

// taintRemover takes the startup taint off the node once the driver is ready, if it is to.
func (s *settings) taintRemover(ready func(context.Context) error, log *slog.Logger) (run func(context.Context), err error) {
	if !s.startupTaint {
		return func(context.Context) {}, nil
	}
	config, err := kube.Config(s.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("removing the startup taint, for --startup-taint: %w", err)
	}
	nodes, err := kube.NewNodes(config)
	if err != nil {
		return nil, err
	}
	return startuptaint.Remover{Nodes: nodes, Node: s.nodeID, Driver: seam.DriverName, Log: log, Ready: func(ctx context.Context) bool { return ready(ctx) == nil }}.Run, nil
}
