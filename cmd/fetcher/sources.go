package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/kube"
	"github.com/leoflow/secrets-csi/internal/metric"
	"github.com/leoflow/secrets-csi/internal/regular"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/internal/source/file"
	"github.com/leoflow/secrets-csi/internal/source/kubernetes"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// sources are the providers that this node has.
type sources struct {
	byName map[string]provider.Provider
	// names are the keys of byName; the first is the default.
	names []string
	ends  []func() error
	// recorder tells pods of their troubles; nil tells nobody.
	recorder report.Recorder
	// annotations reads service accounts; nil until a source needs that.
	annotations secretmanager.Annotations
	// api is the pace of all calls to the API server.
	api kube.Pace
}

func (s *settings) providers(log *slog.Logger, metrics *metric.Metrics) (sources, error) {
	found := sources{byName: map[string]provider.Provider{}, api: kube.NewPace()}
	if s.coreAddress != "" {
		client, err := core.New(s.coreConfig(log, metrics.Line(seam.CoreSource)))
		if err != nil {
			return sources{}, err
		}
		found.add(seam.CoreSource, client, client.Close)
	}
	if s.usesFile() {
		files, err := file.New(file.Config{Connections: s.fileConnections, Variables: s.fileVariables, Poll: s.pollEvery, Logger: log})
		if err != nil {
			return sources{}, errors.Join(err, found.close())
		}
		found.add("file", files, nil)
	}
	if s.kubernetesSecrets {
		secrets, err := s.kubernetesProvider(found.api, log, metrics)
		if err != nil {
			return sources{}, errors.Join(err, found.close())
		}
		found.add("kubernetes", secrets, nil)
	}
	if err := s.addStores(&found, metrics); err != nil {
		return sources{}, errors.Join(err, found.close())
	}
	return found, nil
}

func (s *settings) kubernetesProvider(pace kube.Pace, log *slog.Logger, metrics *metric.Metrics) (*kubernetes.Provider, error) {
	api, err := kube.Config(s.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading Secrets, for --kubernetes-secrets: %w", err)
	}
	rules, err := s.kubernetesRules.read()
	if err != nil {
		return nil, err
	}
	config := kubernetes.Config{API: pace.Of(api), Watch: s.kubernetesWatch, Rules: rules, Logger: log}
	if s.kubernetesWatch {
		config.Observer = metrics.Line("kubernetes")
	}
	return kubernetes.New(config)
}

// add takes a provider and, where it holds something open, what ends that.
func (s *sources) add(name string, source provider.Provider, end func() error) {
	s.byName[name] = source
	s.names = append(s.names, name)
	if end != nil {
		s.ends = append(s.ends, end)
	}
}

// close ends the last first, which may use what is before it.
func (s *sources) close() error {
	var errs []error
	for _, end := range slices.Backward(s.ends) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

func (s *settings) coreConfig(log *slog.Logger, observer core.Observer) core.Config {
	config := core.Config{
		Address:           s.coreAddress,
		CAFile:            s.coreCA,
		CertFile:          s.coreCert,
		KeyFile:           s.coreKey,
		ServerName:        s.coreServerName,
		PlaintextLoopback: s.corePlaintextLoopback,
		Timeout:           s.fetchTimeout,
		Observer:          observer,
		Logger:            log,
	}
	switch {
	case s.coreTokenFile != "":
		config.NodeToken = func(context.Context) (secret.Text, error) { return readToken(s.coreTokenFile) }
	case s.into.directory != "": // the pod speaks for itself
		config.NodeToken = func(context.Context) (secret.Text, error) { return s.into.tokens().Core() }
	}
	return config
}

func readToken(path string) (secret.Text, error) {
	content, err := regular.Read(path, regular.Most)
	if err != nil {
		return secret.Text{}, fmt.Errorf("reading --core-token-file: %w", err)
	}
	return secret.New(strings.TrimSpace(string(content))), nil
}

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
	events, err := kube.NewEvents(sources.api.Of(config), s.nodeID, log)
	if err != nil {
		return err
	}
	sources.recorder = podEvents{events}
	sources.ends = append(sources.ends, events.Close)
	return nil
}
