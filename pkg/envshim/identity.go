package envshim

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// DefaultDir is where pods are told to mount a volume.
const DefaultDir = layout.DefaultDir

// kindIdentity is what messages call the variables of an identity; no entry of a manifest is of it.
const kindIdentity layout.Kind = "identity"

// identified are the variables by which clouds' SDKs find the pod's own identity in the volume at dir. An
// identity of a form that this release does not know is passed over.
func (s Snapshot) identified(dir string) (entries []Entry, err error) {
	if len(s.Manifest.Identities) == 0 {
		return nil, nil
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	for _, one := range s.Manifest.Identities {
		if one.Check() != nil {
			continue
		}
		for _, v := range one.Variables {
			value := v.Value
			if v.File != "" {
				value = filepath.Join(dir, v.File)
			}
			entry := Entry{Entry: layout.Entry{Kind: kindIdentity, ID: one.Cloud, State: layout.Delivered, Env: v.Name, Required: true}, Value: secret.New(value)}
			entry.isShaped = true
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// Beside is the snapshot without the identities at clouds of which an environment sets a variable already,
// and of which of these with another value. Half of each would be no identity.
func (s Snapshot) Beside(environ []string) (left Snapshot, clouds []string) {
	set := settings(environ)
	isSet, differs := map[string]bool{}, map[string]bool{}
	for _, one := range s.Manifest.Identities {
		for _, name := range layout.IdentityVariables(one.Cloud) {
			if _, is := set[name]; is {
				isSet[one.Cloud] = true
			}
		}
	}
	left = s
	left.Entries = nil
	for _, e := range s.Entries {
		if e.Kind != kindIdentity || !isSet[e.ID] {
			left.Entries = append(left.Entries, e)
			continue
		}
		differs[e.ID] = differs[e.ID] || set[e.Env] != e.Value.Reveal()
	}
	for _, one := range s.Manifest.Identities {
		if differs[one.Cloud] {
			clouds = append(clouds, one.Cloud)
		}
	}
	return left, clouds
}

// Misplaced are the clouds whose configuration names files elsewhere than in the volume at dir.
func (s Snapshot) Misplaced(dir string) (clouds []string) {
	for _, one := range s.Manifest.Identities {
		isNamed := slices.ContainsFunc(one.Variables, func(v layout.IdentityVariable) bool { return v.File != "" && v.File == one.Config })
		isUsed := slices.ContainsFunc(s.Entries, func(e Entry) bool { return e.Kind == kindIdentity && e.ID == one.Cloud })
		if at, err := filepath.Abs(dir); err == nil && at != layout.DefaultDir && isNamed && isUsed {
			clouds = append(clouds, one.Cloud)
		}
	}
	return clouds
}

// Identity is what a probe found about the pod's own identity at a cloud. The rest is what the token says
// of itself, which nobody has verified.
type Identity struct {
	Cloud string `json:"cloud"`
	// Audience is that of which a cloud that refuses the token speaks, and Issuer whom it has to trust.
	Audience string     `json:"audience"`
	Issuer   string     `json:"issuer,omitempty"`
	Subject  string     `json:"subject,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
}

// mostToken is far above what an issuer makes.
const mostToken = 64 << 10

func (s Snapshot) probeIdentities(dir string, now time.Time) (found []Identity, faults []error) {
	for _, one := range s.Manifest.Identities {
		made := Identity{Cloud: one.Cloud, Audience: one.Audience}
		claims, err := claimsOf(dir, one)
		if err != nil {
			faults = append(faults, fmt.Errorf("identity at %s: %w", one.Cloud, err))
			found = append(found, made)
			continue
		}
		made.Issuer, made.Subject = claims.Issuer, claims.Subject
		if claims.Expires > 0 {
			expires := time.Unix(claims.Expires, 0).UTC()
			made.Expires = &expires
			if !now.Before(expires) {
				faults = append(faults, fmt.Errorf("identity at %s: the token for audience %s of issuer %s ended at %s, and the clock here says %s: kubelet renews it while the driver runs; see whether that does, and compare the clocks",
					one.Cloud, one.Audience, OnOneLine(claims.Issuer), expires.Format(time.RFC3339), now.UTC().Format(time.RFC3339)))
			}
		}
		found = append(found, made)
	}
	return found, faults
}

type claims struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
	Expires int64  `json:"exp"`
}

// claimsOf reads what a token says of itself. Its errors hold nothing of it.
func claimsOf(dir string, of layout.Identity) (read claims, err error) {
	volume, err := openVolume(dir)
	if err != nil {
		return claims{}, err
	}
	defer volume.close()
	target, err := currentTarget(volume)
	if err != nil {
		return claims{}, err
	}
	top, err := volume.open(target)
	if err != nil {
		return claims{}, err
	}
	in := files{top: top}
	defer in.close()
	token, err := in.read(of.Token, mostToken)
	if err != nil {
		return claims{}, err
	}
	parts := strings.Split(string(token), ".")
	if len(parts) != 3 {
		return claims{}, errors.New("its token is no JWT")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(text, &read) != nil {
		return claims{}, errors.New("its token is no JWT")
	}
	return read, nil
}
