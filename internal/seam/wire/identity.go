package wire

import (
	"fmt"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// mostIdentities is one for each cloud that layout.Identity.Check knows, and mostVariables above what that
// lets an identity have.
const mostIdentities, mostVariables = 3, 16

func (w *writer) identity(one seam.Identity) {
	w.text(one.Cloud)
	w.text(one.Audience)
	w.flags(one.Config != "")
	w.text(one.Text)
	w.uint(uint64(len(one.Variables)))
	for _, v := range one.Variables {
		w.text(v.Name)
		w.text(v.Value)
		w.text(v.File)
	}
	w.uint(uint64(len(one.Annotations)))
	for _, name := range one.Annotations {
		w.text(name)
	}
}

// identities reads those of an answer. Their files follow from the cloud.
func (r *reader) identities() (all []seam.Identity) {
	count := r.count()
	if count > mostIdentities {
		r.fail()
		return nil
	}
	for range count {
		cloud, audience, hasConfig := r.text(), r.text(), false
		r.flags(&hasConfig)
		one := seam.Identity{Identity: layout.NewIdentity(cloud, audience, hasConfig), Text: r.text()}
		variables := r.count()
		if variables > mostVariables {
			r.fail()
			return nil
		}
		for range variables {
			one.Variables = append(one.Variables, layout.IdentityVariable{Name: r.text(), Value: r.text(), File: r.text()})
		}
		annotations := r.count()
		if annotations > layout.MostIdentityAnnotations {
			r.fail()
			return nil
		}
		for range annotations {
			one.Annotations = append(one.Annotations, r.text())
		}
		all = append(all, one)
	}
	return all
}

// checkIdentities holds an answer's identities against the closed table of what there may be, and has only
// connections that are delivered speak of them.
func checkIdentities(answer *seam.Answer) error {
	var clouds map[string]bool
	if len(answer.Identities) > 0 {
		clouds = make(map[string]bool, len(answer.Identities))
	}
	for _, one := range answer.Identities {
		if err := one.Check(); err != nil {
			return fmt.Errorf("%w: %w", errLied, err)
		}
		switch {
		case clouds[one.Cloud]:
			return fmt.Errorf("%w: two identities at %s", errLied, one.Cloud)
		case len(one.Text) > seam.MostIdentityText, !isConfig(one):
			return fmt.Errorf("%w: the configuration at %s has %d bytes, or more in it than a cloud needs", errLied, one.Cloud, len(one.Text))
		}
		clouds[one.Cloud] = true
	}
	for i := range answer.Entries {
		e := &answer.Entries[i]
		if e.Identity != "" && (e.State != layout.Delivered || e.Kind != layout.Connection || !clouds[e.Identity]) {
			return fmt.Errorf("%w: %s is said to go by an identity at %s", errLied, shorten(e.Name().String()), shorten(e.Identity))
		}
	}
	return nil
}
