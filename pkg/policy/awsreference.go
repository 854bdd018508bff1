package policy

import (
	"regexp"
	"strings"
)

var (
	awsRegion  = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]{2,12}){1,2}-[0-9]{1,2}$`)
	awsSecret  = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!:-]{1,700}$`)
	awsVersion = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,256}$`)
	awsRole    = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9/_+=,.@-]{1,576}$`)
)

func (AWS) chooseReference(d *draft, pairs []awsPair) (choice, error) {
	ref := Reference{Cloud: "aws"}
	err := d.readInto(target{secretName, &ref.Name}, target{secretRegion, &ref.Location},
		target{secretRole, &ref.Role}, target{secretVersion, &ref.Version})
	if err != nil {
		return choice{}, err
	}
	region, err := locateAWS(d, &ref)
	if err != nil {
		return choice{}, err
	}
	err = d.checkForm(
		form{secretName, ref.Name, awsSecret, "is neither the name nor the ARN of a secret; correct it"},
		form{region, ref.Location, awsRegion, "names no region; write one such as eu-west-1"},
		form{secretRole, ref.Role, awsRole, "is not the ARN of a role; it reads arn:aws:iam::ACCOUNT:role/NAME"},
		form{secretVersion, ref.Version, awsVersion, "is neither a version's id nor a stage; correct it"})
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
func locateAWS(d *draft, ref *Reference) (field string, err error) {
	if strings.HasPrefix(ref.Name, "arn:") {
		return secretName, locateARN(ref)
	}
	if ref.Location != "" {
		return secretRegion, nil
	}
	ref.Location, err = d.read("region_name")
	return "region_name", err
}

func locateARN(ref *Reference) error {
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
