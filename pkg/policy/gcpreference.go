package policy

import "regexp"

// gcpResource is a full resource name; the region of a regional secret and the version are
// optional.
var gcpResource = regexp.MustCompile(`^projects/([^/]+)(?:/locations/([^/]+))?/secrets/([^/]+)(?:/versions/([^/]+))?$`)

var (
	gcpProject = regexp.MustCompile(`^[a-z0-9][a-z0-9.:-]{0,99}$`)
	gcpRegion  = regexp.MustCompile(`^[a-z]{2,16}-[a-z]{4,16}[0-9]{1,2}$`)
	gcpSecret  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
)

func (GCP) chooseReference(d *draft) (choice, error) {
	ref := Reference{Cloud: "gcp"}
	if err := d.readInto(target{secretName, &ref.Name}, target{secretVersion, &ref.Version}); err != nil {
		return choice{}, err
	}
	field, region, err := locateGCP(d, &ref)
	if err != nil {
		return choice{}, err
	}
	err = d.checkForm(gcpName(ref),
		form{field, ref.Location, gcpProject, "names no project; correct it"},
		form{secretName, region, gcpRegion, "names no region; correct it"},
		form{secretVersion, ref.Version, gcpSecret, "is neither a version's number nor its alias; correct it"})
	if err != nil {
		return choice{}, err
	}
	if region != "" {
		ref.Location += "/locations/" + region
	}
	return choice{runtime("the secret is fetched from Secret Manager under the pod's identity"), &ref}, nil
}

// locateGCP takes a full resource name apart, or else finds the project. It returns the
// field that names the project, and the region of a regional secret.
func locateGCP(d *draft, ref *Reference) (field, region string, err error) {
	if parts := gcpResource.FindStringSubmatch(ref.Name); parts != nil {
		ref.Location, ref.Name = parts[1], parts[3]
		return secretName, parts[2], takeVersion(ref, parts[4])
	}
	if err := d.checkForm(gcpName(*ref)); err != nil {
		return "", "", err
	}
	ref.Location, field, err = secretProjectOf(d)
	return field, "", err
}

// takeVersion takes that of a resource name.
func takeVersion(ref *Reference, version string) error {
	switch {
	case version == "":
	case ref.Version == "":
		ref.Version = version
	case ref.Version != version:
		return refuse("extra."+secretVersion, "is another version than that in "+secretName+"; remove it")
	}
	return nil
}

func gcpName(ref Reference) form {
	return form{secretName, ref.Name, gcpSecret, "is neither a secret's name nor projects/PROJECT/secrets/NAME (regional: projects/PROJECT/locations/REGION/secrets/NAME); correct it"}
}

// secretProjectOf is where the secret lives, and the field that says so. Upstream falls
// back to the project of the task's own credentials, which is not known here; the
// connection's project is.
func secretProjectOf(d *draft) (project, field string, err error) {
	for _, field := range []string{secretProject, "project"} {
		if project, err := d.read(field); err != nil || project != "" {
			return project, field, err
		}
	}
	return "", "", refuse("extra."+secretProject, "is missing; name the project of the secret")
}

// strayGCP is for a connection without any credential. Upstream's forms save the
// project of a secret without its name, and then go keyless, so that is no error.
func strayGCP(d *draft) error {
	if _, written := d.find(secretProject); d.has(secretProject) {
		d.notice(CredentialIgnored, "extra."+written+" was taken out, because "+secretName+" is not beside it; name the secret, or remove it")
	}
	return strayReference(d, secretVersion)
}
