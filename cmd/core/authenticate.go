package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/kube"
)

// Ways to know callers, spelled as the flag's values.
const (
	byJWT         = "jwt"
	byTokenReview = "tokenreview"
)

// authFlags say how callers are known.
type authFlags struct {
	events, scopedWatch                    bool
	ways, jwtKeyFile, kubeconfig, audience string
	nodeServiceAccounts, nodeBinding       string
	remember, longestLife                  time.Duration
}

func (f *authFlags) bind(flags *flag.FlagSet) {
	flags.StringVar(&f.ways, "auth", byJWT, "the `ways` in which callers are known: jwt, tokenreview or jwt,tokenreview")
	flags.StringVar(&f.jwtKeyFile, "jwt-key-file", "", "the `file` with the key of per-task-instance tokens, at least 32 bytes")
	flags.DurationVar(&f.longestLife, "max-token-ttl", auth.LongestLife, "how long a per-task-instance token may live at most")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "comma-separated `files` that lead to the clusters whose pods may call; in-cluster, or no file, is that of core's own pod")
	flags.StringVar(&f.audience, "audience", auth.PodAudience, "the `audience` that service-account tokens must have")
	flags.DurationVar(&f.remember, "token-review-ttl", 10*time.Second, "how long a token that Kubernetes accepted is not reviewed again; 0 reviews it each time")
	flags.StringVar(&f.nodeBinding, "node-binding", string(coreserver.BindingAuto), "the `mode` of taking a pod's token from the driver of its node alone: auto (with --node-service-accounts, where the cluster's tokens name their node), required or off")
	flags.BoolVar(&f.events, "events", false, "write events in a team's namespaces while a file of the team is not in force; with --auth=tokenreview")
	flags.StringVar(&f.nodeServiceAccounts, "node-service-accounts", "", "comma-separated `accounts`, each NAMESPACE/NAME, that may watch by their tokens; with --auth=tokenreview")
	flags.BoolVar(&f.scopedWatch, "scoped-watch", false, "tell nodes of what their own pods may read alone, and have drivers that cannot say whose that is poll")
}

func (f authFlags) fill(config *coreserver.Config) (err error) {
	var tokens *auth.Tokens
	var pods *auth.Pods
	for way := range strings.SplitSeq(f.ways, ",") {
		switch strings.TrimSpace(way) {
		case byJWT:
			tokens, err = f.tokens()
		case byTokenReview:
			pods, err = f.pods(config)
		default:
			err = cli.Usagef("--auth=%s: want jwt, tokenreview or jwt,tokenreview", f.ways)
		}
		if err != nil {
			return err
		}
	}
	config.Authenticator = authenticator(tokens, pods)
	if tokens != nil && config.SealKey == nil {
		config.VersionSecret = tokens.Key()
	}
	if config.NodeServiceAccounts, err = f.nodes(pods != nil); err != nil {
		return err
	}
	return f.bindNodes(config, pods != nil)
}

// bindNodes says where nothing keeps a stolen token from being used elsewhere.
func (f authFlags) bindNodes(config *coreserver.Config, knowsPods bool) error {
	config.NodeBinding, config.ScopedWatch = coreserver.Binding(f.nodeBinding), f.scopedWatch
	switch {
	case !slices.Contains([]coreserver.Binding{coreserver.BindingAuto, coreserver.BindingRequired, coreserver.BindingOff}, config.NodeBinding):
		return cli.Usagef("--node-binding=%s: want auto, required or off", f.nodeBinding)
	case config.NodeBinding == coreserver.BindingRequired && !knowsPods:
		return cli.Usagef("--node-binding=required goes with --auth=tokenreview: tokens of task instances name no node")
	case knowsPods && config.NodeBinding == coreserver.BindingOff,
		knowsPods && config.NodeBinding == coreserver.BindingAuto && len(config.NodeServiceAccounts) == 0:
		config.Log.Warn("pods' tokens are not bound to their nodes: a stolen one is good from anywhere; give --node-service-accounts")
	}
	return nil
}

// tell has teams told by events of the first cluster; stop ends that.
func (f authFlags) tell(config *coreserver.Config) (stop func(), err error) {
	if !f.events {
		return func() {}, nil
	}
	if !strings.Contains(f.ways, byTokenReview) {
		return nil, cli.Usagef("--events goes with --auth=tokenreview")
	}
	cluster, err := kube.Config(f.ownKubeconfig())
	if err != nil {
		return nil, fmt.Errorf("--events: %w", err)
	}
	kube.Observe(cluster, asksKubernetes(config))
	host, _ := os.Hostname()
	events, err := kube.NewEvents(cluster, host, config.Log)
	if err != nil {
		return nil, fmt.Errorf("--events: %w", err)
	}
	config.Tell, config.TellCluster = events.WarnNamespace, clusterName(f.ownKubeconfig())
	return func() { _ = events.Close() }, nil
}

// ownKubeconfig leads to the cluster that core itself belongs to, the first of them.
func (f authFlags) ownKubeconfig() string {
	first, _, _ := strings.Cut(f.kubeconfig, ",")
	if first = strings.TrimSpace(first); first == inCluster {
		return ""
	}
	return first
}

// asksKubernetes has the core's observer know what came of a question to Kubernetes.
func asksKubernetes(config *coreserver.Config) func(outcome string) {
	return func(outcome string) { config.Observer.Asked("kubernetes", outcome) }
}

// authenticator joins the ways that are there, one or both.
func authenticator(tokens *auth.Tokens, pods *auth.Pods) auth.Authenticator {
	switch {
	case pods == nil:
		return tokens
	case tokens == nil:
		return pods
	default:
		return auth.Either{Tasks: tokens, Pods: pods}
	}
}

func (f authFlags) tokens() (*auth.Tokens, error) {
	key, err := readJWTKey(f.jwtKeyFile)
	if err != nil {
		return nil, err
	}
	if f.longestLife <= 0 {
		return nil, cli.Usagef("--max-token-ttl=%s: want more than 0", f.longestLife)
	}
	tokens, err := auth.NewTokens(key, f.longestLife, time.Now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyOrigin(f.jwtKeyFile, jwtKeyEnv), err)
	}
	return tokens, nil
}

func (f authFlags) pods(core *coreserver.Config) (*auth.Pods, error) {
	switch {
	case f.audience == "":
		return nil, cli.Usagef("no audience; give --audience, or tokens meant for others would be good here")
	case f.remember < 0:
		return nil, cli.Usagef("--token-review-ttl=%s: want 0 or more", f.remember)
	}
	config := auth.PodsConfig{Audience: f.audience, Remember: f.remember, Log: core.Log}
	for file := range strings.SplitSeq(f.kubeconfig, ",") {
		cluster, err := clusterOf(strings.TrimSpace(file), asksKubernetes(core))
		if err != nil {
			return nil, fmt.Errorf("--auth=%s: %w", f.ways, err)
		}
		config.Clusters = append(config.Clusters, cluster)
	}
	return auth.NewPods(config), nil
}

// inCluster stands for no kubeconfig file among others.
const inCluster = "in-cluster"

// clusterName names a cluster by its file.
func clusterName(kubeconfig string) string {
	if kubeconfig == "" || kubeconfig == inCluster {
		return inCluster
	}
	return strings.TrimSuffix(filepath.Base(kubeconfig), filepath.Ext(kubeconfig))
}

func clusterOf(kubeconfig string, asked func(outcome string)) (auth.Cluster, error) {
	name := clusterName(kubeconfig)
	if name == inCluster && kubeconfig == inCluster {
		kubeconfig = ""
	}
	config, err := kube.Config(kubeconfig)
	if err != nil {
		return auth.Cluster{}, err
	}
	kube.Observe(config, asked)
	reviews, err := kube.NewTokenReviews(config)
	if err != nil {
		return auth.Cluster{}, err
	}
	keys, err := kube.NewIssuerKeys(config)
	return auth.Cluster{Name: name, Reviewer: reviews, Keys: keys}, err
}

func (f authFlags) nodes(knowsPods bool) ([]rule.Subject, error) {
	switch {
	case f.nodeServiceAccounts == "":
		return nil, nil
	case !knowsPods:
		return nil, cli.Usagef("--node-service-accounts goes with --auth=tokenreview")
	}
	var nodes []rule.Subject
	for account := range strings.SplitSeq(f.nodeServiceAccounts, ",") {
		namespace, name, err := halves("--node-service-accounts", strings.TrimSpace(account), "NAMESPACE/NAME")
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, rule.Subject{Namespace: namespace, ServiceAccount: name})
	}
	return nodes, nil
}
