package gcp

import (
	"encoding/json"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// externalAccount is the file by which Google's SDKs exchange a token (AIP-4117).
type externalAccount struct {
	Type             string `json:"type"`
	Audience         string `json:"audience"`
	SubjectTokenType string `json:"subject_token_type"`
	TokenURL         string `json:"token_url"`
	Impersonation    string `json:"service_account_impersonation_url,omitempty"`
	Source           struct {
		File string `json:"file"`
	} `json:"credential_source"`
}

// Show implements secretmanager.Shower.
func (c *Cloud) Show(subject secretmanager.Subject) (identity entry.Identity, config string, err error) {
	account, annotated, err := subject.Annotated(ServiceAccountAnnotation, serviceAccount.MatchString, "not an account's e-mail address")
	if err != nil {
		return identity, "", err
	}
	identity = entry.NewIdentity("gcp", c.config.TokenAudience, true)
	identity.Variables = []entry.IdentityVariable{{Name: entry.GoogleCredentials, File: identity.Config}}
	file := externalAccount{Type: "external_account", Audience: c.config.Audience, SubjectTokenType: jwtType, TokenURL: c.config.STSURL}
	file.Source.File = entry.VolumeDir + "/" + identity.Token
	if annotated {
		file.Impersonation, identity.Annotations = c.impersonating(account), []string{ServiceAccountAnnotation}
	}
	text, err := json.MarshalIndent(file, "", "  ")
	return identity, string(text) + "\n", err
}
