package deliver

import (
	"cmp"
	"errors"
	"slices"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// identified are an answer's entries with no identity but what the volume wants and the pod has a token
// for, and with those that it lists under "keyless" and "*" did not bring; and the identities that these may
// speak of. The answer's own stay as they are: several volumes may have them.
func identified(t task, from seam.Answer) (made withIdentities) {
	isOwn := false
	made.entries, made.identities = from.Entries, from.Identities
	var before layout.Manifest
	if t.live && (len(from.Identities) > 0 || haveNoIdentity(from.Entries)) {
		before = t.manifest()
	}
	changed := unnamedNow(before, from.Identities)
	for i := range from.Entries {
		e, isOther := t.spec.identify(&from.Entries[i], from.Identities, changed, func(name layout.Name) bool {
			return slices.ContainsFunc(before.Entries, func(line layout.Entry) bool { return line.Name() == name && line.Identity != "" })
		})
		if !isOther {
			continue
		}
		if !isOwn {
			made.entries, isOwn = slices.Clone(from.Entries), true
		}
		// No source tells of a service account that was mended.
		made.late = made.late || t.live && e.State == layout.Invalid && (from.Entries[i].Identity != "" || hasNoIdentity(&from.Entries[i]))
		made.entries[i] = e
	}
	if len(changed) > 0 {
		made.identities = selected(made.identities, func(one seam.Identity) bool { return changed[one.Cloud] == "" })
	}
	made.entries = append(slices.Clip(made.entries), t.spec.unbrought(from.Entries)...)
	return made
}

// withIdentities are an answer's entries, and the identities that they may speak of. late is set if any waits for one.
type withIdentities struct {
	entries    []seam.Entry
	identities []seam.Identity
	late       bool
}

// hasNoIdentity tells an entry that would have one if its service account said rightly who the pod is.
func hasNoIdentity(e *seam.Entry) bool {
	return e.Has(layout.NoticeNoIdentity) || e.Has(layout.NoticeBadIdentity)
}

// haveNoIdentity tells whether any of them is such an entry.
func haveNoIdentity(entries []seam.Entry) bool {
	for i := range entries {
		if hasNoIdentity(&entries[i]) {
			return true
		}
	}
	return false
}

// unnamedNow are the clouds at which a pod would be somebody else, as its service account has lost an annotation that
// said who it is, and why that is not followed. Where a cloud knows pods without one too, nothing else tells it.
func unnamedNow(before layout.Manifest, now []seam.Identity) map[string]string {
	var changed map[string]string
	for _, one := range now {
		shown, _ := before.Identity(one.Cloud)
		for _, annotation := range shown.Annotations {
			if slices.Contains(one.Annotations, annotation) {
				continue
			}
			if changed == nil {
				changed = map[string]string{}
			}
			changed[one.Cloud] = "the pod's service account has lost the annotation " + annotation + ", by which the pod goes at " + one.Cloud +
				"; add it again, or start the pod anew to have it go without"
		}
	}
	return changed
}

// identify is the entry with the identity that it has in the volume. One that the volume lists under
// "keyless" is nothing without. Nor is one whose service account says who the pod is in a way that cannot be
// read, or says it no more: then it would run under an identity that nobody meant. changed are the clouds at which
// that is so, and isShown tells whether the volume shows an identity for an entry.
func (v Volume) identify(given *seam.Entry, identities []seam.Identity, changed map[string]string, isShown func(layout.Name) bool) (e seam.Entry, isOther bool) {
	wanted, isNeeded := v.keyless(given.Name())
	if given.State != layout.Delivered || given.Identity == "" && !hasNoIdentity(given) && !isNeeded {
		return seam.Entry{}, false
	}
	e = *given
	if !wanted {
		e.Identity = ""
		return e, given.Identity != ""
	}
	switch why := cmp.Or(changed[e.Identity], v.whyWithout(e, identities)); {
	case why == "":
		return seam.Entry{}, false
	case isNeeded:
		return seam.Refused(e.Name(), layout.Invalid, `it is listed under "keyless": `+why), true
	case e.Has(layout.NoticeBadIdentity) && !v.mayGoWithout(e.Name()), isShown(e.Name()):
		return seam.Refused(e.Name(), layout.Invalid, "finding the pod's identity: "+why), true
	case e.Identity == "": // which its notice says already
		return seam.Entry{}, false
	default:
		e.Identity = ""
		e.Notices = append(slices.Clip(e.Notices), layout.Notice{Code: layout.NoticeNoIdentity, Message: why})
		return e, true
	}
}

// unbrought are the ids that the volume lists under "keyless" and "*" did not bring.
func (v Volume) unbrought(entries []seam.Entry) (missing []seam.Entry) {
	if v.Keyless == nil || !v.Connections.All {
		return nil
	}
	for _, listed := range v.Keyless.Names {
		name := layout.Name{Kind: layout.Connection, ID: listed.ID}
		if !slices.ContainsFunc(entries, func(e seam.Entry) bool { return e.Name() == name }) {
			missing = append(missing, seam.Refused(name, layout.Missing, `it is listed under "keyless", and "*" brought none of this id`))
		}
	}
	return missing
}

// whyWithout is why the entry has no identity; empty if it has one.
func (v Volume) whyWithout(e seam.Entry, identities []seam.Identity) string {
	if e.Identity != "" {
		at := slices.IndexFunc(identities, func(one seam.Identity) bool { return one.Cloud == e.Identity })
		if at < 0 || v.token(identities[at].Audience) != nil {
			return ""
		}
		return v.Pod.Lacks(identities[at].Audience)
	}
	for _, notice := range e.Notices {
		if notice.Code == layout.NoticeNoIdentity || notice.Code == layout.NoticeBadIdentity {
			return notice.Message
		}
	}
	if e.Grade != nil {
		return "no identity stands for its credentials (" + e.Grade.Reason + ")"
	}
	return "its type is none of a cloud whose identities this node knows"
}

// keyless tells whether the volume wants the pod's identity for an entry that goes without credentials,
// and whether it cannot do without.
func (v Volume) keyless(name layout.Name) (wanted, isNeeded bool) {
	if v.Keyless == nil || v.Keyless.All {
		return true, false
	}
	at := slices.IndexFunc(v.Keyless.Names, func(listed WantedName) bool { return listed.ID == name.ID })
	if at < 0 || name.Kind != layout.Connection {
		return false, false
	}
	return true, !v.Keyless.Names[at].Optional
}

// mayGoWithout tells whether the volume lists the id under "keyless" with a "?".
func (v Volume) mayGoWithout(name layout.Name) bool {
	return v.Keyless != nil && slices.Contains(v.Keyless.Names, WantedName{ID: name.ID, Optional: true})
}

// token is the pod's for the audience; nil if kubelet sent none.
func (v Volume) token(audience string) []byte {
	if token := v.Pod.CloudTokens[audience]; token.Len() > 0 {
		return []byte(token.Reveal())
	}
	return nil
}

// shownIdentities are those that the entries of a volume may speak of, with the newest tokens that are known.
func (d *Deliverer) shownIdentities(t task, all []seam.Identity) (made []mount.Identity) {
	if len(all) == 0 {
		return nil
	}
	newest, _ := d.set.look(t.share)
	for _, one := range all {
		token := newest.token(one.Audience)
		isTwice := slices.ContainsFunc(made, func(other mount.Identity) bool { return other.Cloud == one.Cloud })
		if token == nil || isTwice {
			continue
		}
		shown := mount.Identity{Identity: one.Identity, Token: token}
		if one.Config != "" {
			shown.Config = []byte(one.Text)
		}
		made = append(made, shown)
	}
	return made
}

// renew puts the tokens that kubelet has just handed over into the places of those that the volume shows.
// It asks nobody. Kubelet makes new ones once four fifths of their life are over, whatever the node's clock
// says, so the driver compares bytes and no times.
func (d *Deliverer) renew(spec Volume) {
	if len(spec.Pod.CloudTokens) == 0 {
		return
	}
	defer d.targets.lock(spec.TargetPath)()
	clouds, err := d.Place.Renew(spec.TargetPath, spec.token, spec.fileMode(), int(spec.Group))
	log := d.Log.With(subject(spec).LogAttrs()...)
	switch {
	case err != nil && !errors.Is(err, mount.ErrNotMounted):
		log.Warn("cannot renew the pod's tokens in its volume; it is tried again at the next publish", logkey.Error, err)
	case len(clouds) > 0:
		log.Debug("renewed the pod's tokens in its volume", logkey.Clouds, clouds)
	}
}
