package coreserver

import (
	"context"
	"fmt"
	"slices"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/logkey"
)

// Binding says whether a pod's token is taken from the driver of its own node alone.
type Binding string

// The ways of binding, spelled as the flag's values.
const (
	// BindingAuto binds wherever core knows drivers by their tokens and the cluster's tokens
	// name their node.
	BindingAuto Binding = "auto"
	// BindingRequired refuses what names no node, too.
	BindingRequired Binding = "required"
	// BindingOff serves a pod's token to whoever holds it.
	BindingOff Binding = "off"
)

// binds tells whether fetches are made under a driver's identity, too.
func (c Config) binds() bool {
	return c.NodeBinding == BindingRequired || c.NodeBinding == BindingAuto && len(c.NodeServiceAccounts) > 0
}

// driver is who makes a call, beside the pods that it is made for.
type driver struct {
	// known is false where the call shows no node's identity.
	known bool
	// node is what the driver's token is bound to; names are those of its certificate, of
	// which one may be its node's.
	node, cluster string
	names         []string
	// direct is the pod or the task instance that speaks for itself, where there is no driver.
	direct *auth.Caller
	// ruleless is set where no rule lets direct ask for itself, any more perhaps: then each entry is denied
	// to it, so that what it was given before is taken away.
	ruleless bool
}

// notADriver is why a call is refused that shows a good token and is for others than its own.
const notADriver = "the driver's own token is not of a node's service account; core knows those of --node-service-accounts, and no rule has direct: true for this one"

// driver tells who makes the call, or why it is refused: for what it shows, or where it
// shows nothing and has to. What is refused there is this node's, and none of its pods'. It
// fails, with a status, where core cannot tell.
func (s *Server) driver(ctx context.Context) (shown driver, refused string, err error) {
	shown = s.driverByCertificate(ctx)
	token, rules := bearer(ctx), s.store.Current().Rules
	if token.Len() > 0 && (len(s.config.NodeServiceAccounts) > 0 || !shown.known && (s.config.binds() || rules.HasDirect())) {
		known, err := s.identify(ctx, token)
		if err != nil {
			return driver{}, "", err
		}
		if shown, refused = s.driverByToken(shown, known, rules); refused != "" {
			return driver{}, refused, nil
		}
	}
	if !shown.known && shown.direct == nil && s.config.binds() {
		return driver{}, "a fetch takes the driver's own identity, too: " + s.config.waysToWatch() + "; upgrade the driver, or give it --core-token-file", nil
	}
	return shown, "", nil
}

// driverByToken is who makes a call by what its token says and its certificate has shown, or why the call is
// refused.
func (s *Server) driverByToken(shown driver, known identity, rules rule.Set) (from driver, refused string) {
	switch {
	case known.refused == "" && s.isNode(known.who):
		shown.known, shown.node, shown.cluster = true, known.who.Node, known.who.Cluster
	case shown.known:
	case known.refused == "" && rules.Direct(known.who.RuleSubject()):
		shown.direct = &known.who
	case known.refused == "" && s.config.binds():
		shown.direct, shown.ruleless = &known.who, true
	case len(s.config.NodeServiceAccounts) == 0: // it was never asked for
	case known.refused != "":
		return driver{}, "the driver's own " + known.refused
	default:
		return driver{}, notADriver
	}
	return shown, ""
}

// isDirect tells a call that a pod, or a task instance, makes for itself.
func (d driver) isDirect(who auth.Caller) bool {
	if d.direct == nil {
		return false
	}
	own := *d.direct
	own.TokenID, who.TokenID = "", "" // a renewed token is its as much as the one before
	return own == who
}

func (s *Server) driverByCertificate(ctx context.Context) driver {
	certificate := clientCertificate(ctx)
	if s.byCertificate(certificate).status() != nil {
		return driver{}
	}
	return driver{known: true, names: certificateNames(certificate)}
}

// unbound is why a token that speaks for who is not taken from this driver; empty where it
// is. A task instance's names no node.
func (s *Server) unbound(from driver, who auth.Caller) string {
	isPod := who.Namespace != ""
	if from.isDirect(who) {
		return unboundToPod(who)
	}
	switch {
	case from.direct != nil && s.config.binds():
		return "token refused: the call shows another identity, which is no node's driver; a pod without a driver asks for itself alone"
	case !isPod || !s.config.binds() || s.isNode(who):
		return ""
	case who.Node == "" && (from.node != "" || s.config.NodeBinding == BindingRequired):
		return "token refused: it is bound to no pod and no node; core takes those that kubelet got for a pod"
	case who.Node == "" || from.known && from.node == "" && len(from.names) == 0:
		return s.unnamed()
	case from.node == who.Node && from.cluster == who.Cluster || names(from.names, who.Node):
		return ""
	case from.node != "":
		return fmt.Sprintf("token refused: it is bound to node %q, and comes from the driver of node %q", who.Node, from.node)
	default:
		return fmt.Sprintf("token refused: it is bound to node %q, and comes from nobody who shows to be that node's driver", who.Node)
	}
}

// unboundToPod is why the token of one who asks without a driver is not taken.
func unboundToPod(who auth.Caller) string {
	if who.Namespace != "" && who.PodUID == "" {
		return "token refused: it is bound to no pod; who asks without a driver shows the token that kubelet projected for its pod"
	}
	return ""
}

// unnamed serves where the cluster's tokens name no node, and tells that once.
func (s *Server) unnamed() string {
	if s.config.NodeBinding == BindingRequired {
		return "token refused: the driver's own token names no node"
	}
	s.toldUnnamed.Do(func() {
		s.config.Log.Warn("this cluster's tokens do not name their node: a pod's stolen token is good from anywhere",
			logkey.Cause, "Kubernetes before 1.30, or the feature ServiceAccountTokenPodNodeInfo is off")
	})
	return ""
}

// names tells whether a certificate is that node's, by its bare name or as kubelet's own
// certificates have it.
func names(certificate []string, node string) bool {
	return slices.Contains(certificate, node) || slices.Contains(certificate, "system:node:"+node)
}
