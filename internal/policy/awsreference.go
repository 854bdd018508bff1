package policy

import (
	"strings"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

func (aws) chooseReference(d *draft, pairs []awsPair) (choice, error) {
	ref := entry.Reference{Cloud: "aws", Field: d.at()}
	err := d.readInto(target{secretName, &ref.Name}, target{secretRegion, &ref.Location},
		target{secretRole, &ref.Role}, target{secretVersion, &ref.Version})
	if err != nil {
		return choice{}, err
	}
	region, err := locateAWS(d, &ref)
	if err != nil {
		return choice{}, err
	}
	err = d.checkForm(ref, map[entry.Part]string{
		entry.NamePart: secretName, entry.LocationPart: region, entry.VersionPart: secretVersion, entry.RolePart: secretRole,
	})
	if err != nil {
		return choice{}, err
	}
	for _, pair := range pairs {
		pair.takeOut(d, awsPair{secretField: "extra." + secretName})
	}
	return choice{runtime("the key pair is fetched from Secrets Manager under the pod's identity"), &ref}, nil
}

// locateAWS takes the region of an ARN, then that of the reference, then that of the
// connection, and returns the field that it is from. It may stay empty: a node has a
// region of its own.
func locateAWS(d *draft, ref *entry.Reference) (field string, err error) {
	if strings.HasPrefix(ref.Name, "arn:") {
		return secretName, locateARN(ref)
	}
	if ref.Location != "" {
		return secretRegion, nil
	}
	ref.Location, err = d.read("region_name")
	return "region_name", err
}

func locateARN(ref *entry.Reference) error {
	parts := strings.SplitN(ref.Name, ":", 7)
	if len(parts) < 7 || parts[2] != "secretsmanager" || parts[3] == "" || parts[5] != "secret" {
		return refuse("extra."+secretName, "is not the ARN of a secret; it reads arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME")
	}
	if ref.Location != "" && ref.Location != parts[3] {
		return refuse("extra."+secretRegion, "is another region than that of the ARN in "+secretName+"; remove it")
	}
	ref.Location = parts[3]
	return nil
}
