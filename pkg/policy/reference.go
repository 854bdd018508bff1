package policy

import (
	"context"
	"fmt"
	"regexp"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

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

// fetch resolves a reference and has the cloud put the secret in its place.
func fetch(ctx context.Context, c cloud, d *draft, ref Reference, resolve Resolve) error {
	_, written := d.find(secretName)
	field := "extra." + written
	if resolve == nil {
		return refuse(field, "references into "+ref.Cloud+" are not enabled on this node; have them enabled, or go keyless")
	}
	fetched, err := resolve(ctx, ref)
	if err != nil {
		return fmt.Errorf("field %q: resolving reference: %w", field, err)
	}
	d.drop(referenceFields...)
	if err := c.accept(d, fetched.Reveal()); err != nil {
		return refuse(field, "the fetched secret "+err.Error())
	}
	return nil
}

// form is what a field of a reference has to look like. The clouds' clients look again,
// for their own safety; here it is told before anything is deployed.
type form struct {
	field, value string
	pattern      *regexp.Regexp
	// reason says what is wrong otherwise.
	reason string
}

// checkForm refuses the first field that is set and has another form.
func (d *draft) checkForm(forms ...form) error {
	for _, one := range forms {
		if one.value != "" && !one.pattern.MatchString(one.value) {
			_, written := d.find(one.field)
			return refuse("extra."+written, one.reason)
		}
	}
	return nil
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

func pointer(value string) *secret.Text {
	wrapped := secret.New(value)
	return &wrapped
}
