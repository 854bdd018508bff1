package entry

import "github.com/leoflow/secrets-csi/pkg/mount/layout"

// What a pod shows a cloud of itself is layout's too.
type (
	// Identity is layout's.
	Identity = layout.Identity
	// IdentityVariable is layout's.
	IdentityVariable = layout.IdentityVariable
)

// NewIdentity is layout's.
func NewIdentity(cloud, audience string, hasConfig bool) Identity {
	return layout.NewIdentity(cloud, audience, hasConfig)
}

// Names of layout's.
const (
	NoIdentity  = layout.NoticeNoIdentity
	BadIdentity = layout.NoticeBadIdentity

	VolumeDir = layout.DefaultDir

	GoogleCredentials = layout.GoogleCredentials
	AWSRole           = layout.AWSRole
	AWSTokenFile      = layout.AWSTokenFile
	AWSAgent          = layout.AWSAgent
	AWSAgentTokenFile = layout.AWSAgentTokenFile
	AzureClient       = layout.AzureClient
	AzureTenant       = layout.AzureTenant
	AzureAuthority    = layout.AzureAuthority
	AzureTokenFile    = layout.AzureTokenFile
)
