package main

import (
	"fmt"
	"log/slog"

	"github.com/leoflow/secrets-csi/internal/kube"
	"github.com/leoflow/secrets-csi/internal/report"
)

// podEvents is a report.Recorder that writes events on pods.
type podEvents struct{ events *kube.Events }

func (p podEvents) Record(volume report.Volume, reason report.EventReason, message string) {
	p.events.Warn(volume.Namespace, volume.Pod, volume.PodUID, string(reason), message)
}

// openRecorder adds to the sources what tells pods of their troubles, if anything is to.
func (s *settings) openRecorder(sources *sources, log *slog.Logger) error {
	if !s.events {
		return nil
	}
	config, err := kube.Config(s.kubeconfig)
	if err != nil {
		return fmt.Errorf("writing events, for --events: %w", err)
	}
	events, err := kube.NewEvents(config, s.nodeID, log)
	if err != nil {
		return err
	}
	sources.recorder = podEvents{events}
	sources.ends = append(sources.ends, events.Close)
	return nil
}
