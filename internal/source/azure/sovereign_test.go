package azure

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/stretchr/testify/assert"
)

func TestTokensAreOfTheVaultsOwnCloud(t *testing.T) {
	for vault, want := range map[string]string{
		"https://v.vault.azure.net":         "",
		"https://v.vault.azure.cn":          cloud.AzureChina.ActiveDirectoryAuthorityHost,
		"https://v.vault.azure.cn/":         cloud.AzureChina.ActiveDirectoryAuthorityHost,
		"https://v.vault.usgovcloudapi.net": cloud.AzureGovernment.ActiveDirectoryAuthorityHost,
	} {
		made := New(Config{})
		assert.Equal(t, want, made.options(vault).Cloud.ActiveDirectoryAuthorityHost, vault)
		made.config.AuthorityHost = "https://login.example.com"
		assert.Equal(t, "https://login.example.com", made.options(vault).Cloud.ActiveDirectoryAuthorityHost, "what is set comes first")
	}
}
