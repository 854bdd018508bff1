// Package aws reads AWS Secrets Manager under a pod's identity: the pod's token is
// exchanged by AssumeRoleWithWebIdentity for the role that the connection or the
// service account's annotation names.
package aws

import (
	"net/http"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
)

// RoleAnnotation names the role that pods assume where the connection names none.
const RoleAnnotation = "eks.amazonaws.com/role-arn"

// Config says where AWS is.
type Config struct {
	// Region is that of secrets whose reference and connection name none.
	Region string
	// TokenAudience is that of the pod's token; "sts.amazonaws.com" by default.
	TokenAudience string
	// Endpoint and STSEndpoint are URLs; those of the region where empty.
	Endpoint, STSEndpoint string
	// HTTP is a client of secretmanager.NewHTTPClient, which several may share. Required.
	HTTP *http.Client
	// PodIdentity has pods whose service account names no role ask the agent of EKS Pod Identity
	// on their node, which is at Agent; "http://169.254.170.23" by default.
	PodIdentity bool
	Agent       string
}

// Cloud implements secretmanager.Cloud.
type Cloud struct{ identities }

// New returns a Cloud; it asks nobody yet.
func New(config Config) *Cloud { return &Cloud{newIdentities(config)} }

// Open implements secretmanager.Cloud.
func (c *Cloud) Open(subject secretmanager.Subject) (secretmanager.Session, error) {
	api, err := c.of(secretsManager, subject)
	if err != nil {
		return nil, err
	}
	return &session{api}, nil
}
