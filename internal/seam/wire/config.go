package wire

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// isConfig tells whether an identity's configuration has nothing but what the cloud needs of it. SDKs run a
// program that such a file names (credential_process, and executable of Google's), in the pod.
func isConfig(one seam.Identity) bool {
	token := layout.DefaultDir + "/" + one.Token
	switch {
	case one.Config == "":
		return one.Text == ""
	case one.Cloud == "aws":
		return isProfile(one.Text, token)
	case one.Cloud == "gcp":
		return isExternalAccount(one.Text, token)
	}
	return false
}

// isProfile tells the default profile of AWS's SDKs, line by line.
func isProfile(text, token string) bool {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	isOdd := func(line string) bool {
		key, value, _ := strings.Cut(line, " = ")
		isText := value != "" && !strings.ContainsFunc(value, func(char rune) bool { return char <= ' ' || char > '~' })
		return !isText || key != "role_arn" && (key != "web_identity_token_file" || value != token)
	}
	return lines[0] == "[default]" && !slices.ContainsFunc(lines[1:], isOdd)
}

// externalAccount is all that a configuration for Google's SDKs may have (AIP-4117).
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

// isExternalAccount compares the text with what these fields make, so that a key twice, or in other letters, is
// none that some SDK reads otherwise.
func isExternalAccount(text, token string) bool {
	var read externalAccount
	if json.Unmarshal([]byte(text), &read) != nil {
		return false
	}
	made, err := json.MarshalIndent(read, "", "  ")
	return err == nil && text == string(made)+"\n" && read.Type == "external_account" && read.Source.File == token
}
