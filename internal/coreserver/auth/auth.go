// Package auth turns a bearer token into the caller it speaks for.
package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Authenticator is how core learns who calls. An error wraps ErrRefused where the
// token is at fault, or ErrUndecided where core cannot tell now; it holds nothing of
// the token. Implementations are safe for concurrent use.
type Authenticator interface {
	Authenticate(ctx context.Context, token secret.Text) (Caller, error)
}

// Errors of Authenticate.
var (
	// ErrRefused: the token will not become good by asking again.
	ErrRefused = errors.New("token refused")
	// ErrUndecided: whoever could tell cannot be reached.
	ErrUndecided = errors.New("token cannot be checked now")
)

func refused(why string) error { return fmt.Errorf("%w: %s", ErrRefused, why) }

func undecided(why error) error { return fmt.Errorf("%w: %w", ErrUndecided, why) }

// Caller is who asks: a pod by its service account, a task instance by its token, or a
// node by its certificate. The other parts are empty. It goes into the audit log as it
// is.
type Caller struct {
	Namespace      string `json:"namespace,omitempty"`
	ServiceAccount string `json:"service_account,omitempty"`
	Pod            string `json:"pod,omitempty"`
	PodUID         string `json:"pod_uid,omitempty"`
	Node           string `json:"node,omitempty"`
	// Cluster is the pod's, where core knows several.
	Cluster string `json:"cluster,omitempty"`
	// TokenID names the token as the API server's own audit log does.
	TokenID string `json:"token_id,omitempty"`

	Subject string `json:"subject,omitempty"`
	Tenant  string `json:"tenant,omitempty"`
	DAG     string `json:"dag,omitempty"`
	Run     string `json:"run,omitempty"`
	Task    string `json:"task,omitempty"`
	Try     int    `json:"try,omitempty"`

	Certificate string `json:"certificate,omitempty"`

	// Direct is set where the caller asked itself, and no driver for it.
	Direct bool `json:"direct,omitempty"`
}

// RuleSubject is the part of a caller that rules decide by.
func (c Caller) RuleSubject() rule.Subject {
	return rule.Subject{Namespace: c.Namespace, ServiceAccount: c.ServiceAccount, Tenant: c.Tenant, DAG: c.DAG, Direct: c.Direct}
}
