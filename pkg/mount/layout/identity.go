package layout

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// IdentityDir has the files by which a pod shows its own identity to clouds. It is there only in a
// generation with an identity, and readers of earlier releases do not look for it.
const IdentityDir = "identity"

// Identity is a pod's own identity at one cloud: what SDKs take in the place of a stored key. It holds no
// secret. The token is one, and is the one file of a generation that changes within it: the driver renames
// a newer one into its place.
type Identity struct {
	// Cloud is "gcp", "aws" or "azure".
	Cloud string `json:"cloud"`
	// Audience is that of the token.
	Audience string `json:"audience"`
	// Token and Config are paths below the volume; Config is empty where there is none.
	Token  string `json:"token"`
	Config string `json:"config,omitempty"`
	// Variables are what the cloud's SDKs read.
	Variables []IdentityVariable `json:"variables"`
	// Annotations name those of the service account that say who the pod is; none where the cloud's default does.
	Annotations []string `json:"annotations,omitempty"`
}

// IdentityVariable is an environment variable: a text, or the path of a file below the volume.
type IdentityVariable struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	File  string `json:"file,omitempty"`
}

// The variables of clouds' SDKs.
const (
	GoogleCredentials     = "GOOGLE_APPLICATION_CREDENTIALS"
	AWSRole               = "AWS_ROLE_ARN"
	AWSTokenFile          = "AWS_WEB_IDENTITY_TOKEN_FILE"
	AWSAgent              = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	AWSAgentTokenFile     = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
	AzureClient           = "AZURE_CLIENT_ID"
	AzureTenant           = "AZURE_TENANT_ID"
	AzureAuthority        = "AZURE_AUTHORITY_HOST"
	AzureTokenFile        = "AZURE_FEDERATED_TOKEN_FILE"
	mostOfIdentityText    = 2 << 10
	mostIdentityVariables = 8
	// MostIdentityAnnotations bounds an Identity's Annotations.
	MostIdentityAnnotations = 4
)

// identityForm is all that an identity at a cloud may consist of.
type identityForm struct {
	cloud, token, config string
	// values are variables with a text, files those with a path.
	values, files []string
	// stored are those by which the cloud's SDKs find other credentials, before an identity or for a part of one.
	stored []string
}

// identityForms has one for each cloud. It is a function, since nobody may change it.
func identityForms() [3]identityForm {
	return [...]identityForm{
		{cloud: "gcp", token: IdentityDir + "/gcp.token", config: IdentityDir + "/gcp.json", files: []string{GoogleCredentials}},
		{cloud: "aws", token: IdentityDir + "/aws.token", config: IdentityDir + "/aws.config",
			values: []string{AWSRole, AWSAgent}, files: []string{AWSTokenFile, AWSAgentTokenFile},
			stored: []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"}},
		{cloud: "azure", token: IdentityDir + "/azure.token",
			values: []string{AzureClient, AzureTenant, AzureAuthority}, files: []string{AzureTokenFile},
			stored: []string{"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_PASSWORD"}},
	}
}

// NewIdentity is an identity at the cloud without variables. hasConfig is set if there is a configuration.
func NewIdentity(cloud, audience string, hasConfig bool) Identity {
	made := Identity{Cloud: cloud, Audience: audience}
	for _, form := range identityForms() {
		if form.cloud == cloud {
			made.Token = form.token
			if hasConfig {
				made.Config = form.config
			}
		}
	}
	return made
}

// ErrIdentity is wrapped by every error of Identity.Check.
var ErrIdentity = errors.New("no identity at a cloud that is known here")

// Check holds an identity against all that there may be: files and variables out of a closed table, and
// texts of one printable line. So no manifest can have a program preload a library.
func (i Identity) Check() error {
	forms := identityForms()
	at := slices.IndexFunc(forms[:], func(form identityForm) bool { return form.cloud == i.Cloud })
	if at < 0 {
		return fmt.Errorf("%w: the cloud %.20q", ErrIdentity, i.Cloud)
	}
	form := forms[at]
	switch {
	case i.Audience == "", !isLine(i.Audience):
		return fmt.Errorf("%w: the audience of %s", ErrIdentity, i.Cloud)
	case i.Token != form.token, i.Config != "" && i.Config != form.config:
		return fmt.Errorf("%w: a file of %s", ErrIdentity, i.Cloud)
	case len(i.Variables) > mostIdentityVariables:
		return fmt.Errorf("%w: %d variables of %s", ErrIdentity, len(i.Variables), i.Cloud)
	case !areNames(i.Annotations):
		return fmt.Errorf("%w: the annotations of %s", ErrIdentity, i.Cloud)
	}
	seen := map[string]bool{}
	for _, v := range i.Variables {
		isText := slices.Contains(form.values, v.Name) && v.File == "" && isLine(v.Value) && v.Value != ""
		isFile := slices.Contains(form.files, v.Name) && v.Value == "" && v.File != "" && (v.File == i.Token || v.File == i.Config)
		if !isText && !isFile || seen[v.Name] {
			return fmt.Errorf("%w: the variable %.40q of %s", ErrIdentity, v.Name, i.Cloud)
		}
		seen[v.Name] = true
	}
	return nil
}

// areNames tells whether there are few annotations, and each may be one.
func areNames(annotations []string) bool {
	isOdd := func(name string) bool { return name == "" || !isLine(name) }
	return len(annotations) <= MostIdentityAnnotations && !slices.ContainsFunc(annotations, isOdd)
}

// isLine tells whether a text is of printable ASCII, and not long.
func isLine(text string) bool {
	return len(text) <= mostOfIdentityText && !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' })
}

// Files are the paths of the identity's files below the volume.
func (i Identity) Files() []string {
	if i.Config == "" {
		return []string{i.Token}
	}
	return []string{i.Token, i.Config}
}

// IsIdentityPath tells whether path names a file directly in IdentityDir.
func IsIdentityPath(path string) bool {
	name, found := strings.CutPrefix(path, IdentityDir+"/")
	return found && name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// Identity is the manifest's identity at a cloud; false if there is none.
func (m Manifest) Identity(cloud string) (Identity, bool) {
	for _, one := range m.Identities {
		if one.Cloud == cloud {
			return one, true
		}
	}
	return Identity{}, false
}

// validateIdentities asks for what a reader relies on: paths that stay in the volume. A cloud, or a
// variable, of a later release is for readers to pass over.
func (m Manifest) validateIdentities() error {
	for _, one := range m.Identities {
		for _, path := range one.Files() {
			if !IsIdentityPath(path) {
				return fmt.Errorf("the identity at %q names %q, which is no file of one", one.Cloud, path)
			}
		}
	}
	return nil
}

// IdentityVariables are all that say who a program is at the cloud: those that an identity may set, and those of
// stored credentials.
func IdentityVariables(cloud string) []string {
	for _, form := range identityForms() {
		if form.cloud == cloud {
			return slices.Concat(form.values, form.files, form.stored)
		}
	}
	return nil
}
