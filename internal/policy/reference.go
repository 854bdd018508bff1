package policy

import "github.com/leoflow/secrets-csi/pkg/entry"

// The fields of a reference, the same in every cloud; each cloud adds where.
const (
	secretName    = "key_secret_name"
	secretProject = "key_secret_project_id"
	secretRegion  = "key_secret_region"
	secretRole    = "key_secret_role_arn"
	secretVersion = "key_secret_version"
	vaultURL      = "key_vault_url"
)

// referenceFields are unknown to AWS's and Azure's hooks, and a second credential to
// Google's: none of them is ever delivered.
var referenceFields = []string{secretName, secretProject, secretRegion, secretRole, secretVersion, vaultURL}

// checkForm refuses the first part of a reference that has not its cloud's form, by the field
// that it was taken from. The clouds' clients look again, for their own safety; here it is
// told before anything is deployed.
func (d *draft) checkForm(ref entry.Reference, from map[entry.Part]string) error {
	part, reason := ref.Fault()
	field, read := from[part]
	if !read {
		return nil
	}
	_, written := d.find(field)
	return refuse("extra."+written, reason)
}

// at says where the reference stands, as it was written.
func (d *draft) at() string {
	_, written := d.find(secretName)
	return "extra." + written
}

// dropReference takes out a reference that the winner comes before.
func (d *draft) dropReference(winner string) {
	if d.has(secretName) {
		d.ignored("extra."+secretName, winner)
	}
	d.drop(referenceFields...)
}

// strayReference refuses what belongs to a reference and lacks its name: the task
// would run keyless where a secret was meant.
func strayReference(d *draft, companions ...string) error {
	for _, name := range companions {
		if d.has(name) {
			return refuse("extra."+secretName, "is missing beside "+name+"; name the secret, or remove "+name)
		}
	}
	d.drop(referenceFields...)
	return nil
}
