package policy

import (
	"regexp"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

// gcpResource is a full resource name; the region of a regional secret and the version are
// optional.
var gcpResource = regexp.MustCompile(`^projects/([^/]+)(?:/locations/([^/]+))?/secrets/([^/]+)(?:/versions/([^/]+))?$`)

func (gcp) chooseReference(d *draft) (choice, error) {
	ref := entry.Reference{Cloud: "gcp", Field: d.at()}
	if err := d.readInto(target{secretName, &ref.Name}, target{secretVersion, &ref.Version}); err != nil {
		return choice{}, err
	}
	located, err := locateGCP(d, &ref)
	if err != nil {
		return choice{}, err
	}
	err = d.checkForm(ref, map[entry.Part]string{
		entry.NamePart: secretName, entry.LocationPart: located, entry.RegionPart: secretName, entry.VersionPart: secretVersion,
	})
	if err != nil {
		return choice{}, err
	}
	return choice{runtime("the secret is fetched from Secret Manager under the pod's identity"), &ref}, nil
}

// locateGCP takes a full resource name apart, or else finds the project, and returns the
// field that names it.
func locateGCP(d *draft, ref *entry.Reference) (field string, err error) {
	if parts := gcpResource.FindStringSubmatch(ref.Name); parts != nil {
		return secretName, takeResource(ref, parts)
	}
	if err := d.checkForm(*ref, map[entry.Part]string{entry.NamePart: secretName}); err != nil {
		return "", err
	}
	ref.Location, field, err = secretProjectOf(d)
	return field, err
}

func takeResource(ref *entry.Reference, parts []string) error {
	ref.Location, ref.Region, ref.Name = parts[1], parts[2], parts[3]
	switch version := parts[4]; {
	case version == "":
	case ref.Version == "":
		ref.Version = version
	case ref.Version != version:
		return refuse("extra."+secretVersion, "is another version than that in "+secretName+"; remove it")
	}
	return nil
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
