package policy

import "regexp"

var (
	azureVault   = regexp.MustCompile(`^https://[0-9A-Za-z-]{1,127}\.vault\.(azure\.net|azure\.cn|usgovcloudapi\.net)/?$`)
	azureSecret  = regexp.MustCompile(`^[0-9A-Za-z-]{1,127}$`)
	azureVersion = regexp.MustCompile(`^[0-9A-Za-z]{1,64}$`)
)

func (Azure) chooseReference(d *draft, kind azureType) (choice, error) {
	ref := Reference{Cloud: "azure"}
	err := d.readInto(target{secretName, &ref.Name}, target{vaultURL, &ref.Location}, target{secretVersion, &ref.Version})
	if err != nil {
		return choice{}, err
	}
	if ref.Name == "" {
		return choice{}, refuse("extra."+secretName, "is missing beside "+vaultURL+"; name the secret")
	}
	if ref.Location == "" {
		return choice{}, refuse("extra."+vaultURL, "is missing beside "+secretName+"; give the vault's URL")
	}
	err = d.checkForm(
		form{secretName, ref.Name, azureSecret, "is no secret's name; give the name alone, without the vault and the version"},
		form{vaultURL, ref.Location, azureVault, "is no vault's URL; it reads https://NAME.vault.azure.net"},
		form{secretVersion, ref.Version, azureVersion, "is no version; correct it"})
	if err != nil {
		return choice{}, err
	}
	if err := wholePrincipal(d, kind, secretName); err != nil {
		return choice{}, err
	}
	return choice{runtime("the client secret is fetched from Key Vault under the pod's identity"), &ref}, nil
}
