package policy

import "github.com/leoflow/secrets-csi/pkg/entry"

func (azure) chooseReference(d *draft, kind azureType) (choice, error) {
	ref := entry.Reference{Cloud: "azure", Field: d.at()}
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
	err = d.checkForm(ref, map[entry.Part]string{
		entry.NamePart: secretName, entry.LocationPart: vaultURL, entry.VersionPart: secretVersion,
	})
	if err != nil {
		return choice{}, err
	}
	if err := wholePrincipal(d, kind, secretName); err != nil {
		return choice{}, err
	}
	return choice{runtime("the client secret is fetched from Key Vault under the pod's identity"), &ref}, nil
}
