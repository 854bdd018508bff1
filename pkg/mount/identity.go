package mount

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Identity is the pod's own identity at one cloud: its line of the manifest, the token, and the
// configuration's text. It prints without these.
type Identity struct {
	layout.Identity
	// Token is a secret; Config is none.
	Token, Config []byte
}

// LogValue is what String returns.
func (i Identity) LogValue() slog.Value { return slog.StringValue(i.String()) }

// String names the cloud.
func (i Identity) String() string { return "identity at " + i.Cloud }

// MarshalText is what String returns.
func (i Identity) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// Format covers every verb, since %x or %#v would otherwise reach into the token.
func (i Identity) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, i.String()) }

func (i Identity) files() []File {
	made := []File{{Path: i.Identity.Token, Data: i.Token}}
	if i.Identity.Config != "" {
		made = append(made, File{Path: i.Identity.Config, Data: i.Config})
	}
	return made
}

func (c Content) validateIdentities() error {
	seen := map[string]bool{}
	for _, one := range c.Identities {
		if err := one.Check(); err != nil {
			return fmt.Errorf("%w: %w", ErrContent, err)
		}
		if seen[one.Cloud] || len(one.Token) == 0 {
			return fmt.Errorf("%w: the identity at %s is there twice, or has no token", ErrContent, one.Cloud)
		}
		seen[one.Cloud] = true
	}
	return nil
}

// withIdentities gives the plan what it may show of identities: those of the content, and for clouds that
// it does not speak of those that stand in the volume. A line of any other cloud has none.
func (p *plan) withIdentities(content Content, stands *standing) {
	p.known = slices.Clone(content.Identities)
	isKnown := func(cloud string) bool {
		return slices.ContainsFunc(p.known, func(one Identity) bool { return one.Cloud == cloud })
	}
	for _, line := range stands.identities {
		if isKnown(line.Cloud) {
			continue
		}
		if read, there := stands.identity(line); there {
			p.known = append(p.known, read)
		}
	}
	for i := range p.lines {
		if !isKnown(p.lines[i].Identity) {
			p.lines[i].Identity = ""
		}
	}
}

// identities are those of which a line that is delivered speaks.
func (p plan) identities() (shown []Identity) {
	for _, one := range p.known {
		if slices.ContainsFunc(p.lines, func(l line) bool { return l.Identity == one.Cloud && l.State == layout.Delivered }) {
			shown = append(shown, one)
		}
	}
	slices.SortFunc(shown, func(a, b Identity) int { return strings.Compare(a.Cloud, b.Cloud) })
	return shown
}

// describe sets what the manifest says of all the plan.
func (p plan) describe(manifest *layout.Manifest) {
	manifest.Entries, manifest.Identities = p.entries(), nil
	for _, one := range p.identities() {
		manifest.Identities = append(manifest.Identities, one.Identity)
	}
}

// identity reads an identity back; false where it is not whole.
func (s *standing) identity(line layout.Identity) (read Identity, there bool) {
	if line.Check() != nil { // of a later release
		return Identity{}, false
	}
	read.Identity = line
	var err error
	if read.Token, err = s.files.read(line.Token); err == nil && line.Config != "" {
		read.Config, err = s.files.read(line.Config)
	}
	return read, err == nil && len(read.Token) > 0
}

// renew puts newer tokens, by their audience, into the places of those that the volume shows, and tells of
// which clouds. Each is replaced in one rename within the generation that is shown: whoever
// watches the volume is not woken, since nothing but the token changes, and no SDK keeps one open. A volume
// that shows no identity is left alone.
func (v volume) renew(tokens func(audience string) []byte, mode fs.FileMode, gid int) (clouds []string, err error) {
	current, top, err := v.current()
	if err != nil {
		top.close()
		return nil, err
	}
	shown := filesIn(top)
	defer shown.close()
	if err := shown.sweepTokens(current.Manifest.Identities); err != nil {
		return nil, fmt.Errorf("deleting leftovers: %w", err)
	}
	for _, one := range current.Manifest.Identities {
		token := File{Path: one.Token, Data: tokens(one.Audience)}
		if one.Check() != nil || len(token.Data) == 0 || shown.has(token, mode, gid) {
			continue
		}
		if err := shown.exchange(token, access{mode: mode, gid: gid}); err != nil {
			return clouds, fmt.Errorf("renewing the token at %s: %w", one.Cloud, err)
		}
		clouds = append(clouds, one.Cloud)
	}
	return clouds, nil
}

// nextSuffix ends the name of a token that does not stand yet.
const nextSuffix = ".next"

// sweepTokens deletes what a renewal that was killed has left.
func (f *files) sweepTokens(of []layout.Identity) error {
	for _, one := range of {
		if dir, name := f.locate(one.Token); dir != closed {
			if err := dir.remove(name + nextSuffix); err != nil {
				return err
			}
		}
	}
	return nil
}

// exchange puts a file into the place of one that is there, in one rename.
func (f *files) exchange(file File, to access) error {
	dir, name := f.locate(file.Path)
	next := name + nextSuffix
	err := dir.create(next, file.Data, &to)
	if err == nil {
		err = dir.rename(next, name)
	}
	if err != nil {
		return errors.Join(err, dir.remove(next))
	}
	return nil
}

// hasIdentity tells whether any of the files is one of an identity.
func hasIdentity(files []File) bool {
	return slices.ContainsFunc(files, func(file File) bool { return layout.IsIdentityPath(file.Path) })
}

// identityInodes is more than identities take besides other files: theirs, a directory and a link.
func (p plan) identityInodes() int {
	if count := len(p.identities()); count > 0 {
		return 2*count + 2
	}
	return 0
}
