package main

import (
	"regexp"
	"strings"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// snapshot is given in place of a version for a build that is no release.
const snapshot = "snapshot"

// version is a semantic version without the v: "0.1.0". Files and the chart have it
// so; images, programs and git's tags put the v before it.
type version string

func (v version) tag() string { return "v" + string(v) }

// semantic is the grammar of semver.org but for build metadata, whose + no image tag
// can have.
var semantic = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)` +
	`(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?$`)

// maxVersion is what is left for the version in the label helm.sh/chart, which holds 63
// bytes.
const maxVersion = 63 - len(chartName+"-")

func parseVersion(text string) (version, error) {
	v := strings.TrimPrefix(text, "v")
	if !semantic.MatchString(v) {
		return "", cli.Usagef("%q is no version: write it like 0.1.0 or 0.1.0-rc.1", text)
	}
	if len(v) > maxVersion {
		return "", cli.Usagef("version %q is longer than the %d bytes that are left for it in the chart's label", text, maxVersion)
	}
	return version(v), nil
}

// choose decides which version the checkout is.
func (c checkout) choose(given string) (v version, err error) {
	if given == snapshot {
		return c.snapshot(), nil
	}
	if given != "" {
		if v, err = c.accept(given); err != nil {
			return "", err
		}
	}
	if len(c.changes) > 0 {
		return "", cli.Usagef("the checkout has changes that are in no commit (%s): commit them, or build a snapshot with VERSION=snapshot",
			strings.TrimSpace(c.changes[0]))
	}
	if given == "" {
		return c.tagged()
	}
	return v, nil
}

// tagged is the one version that the commit has.
func (c checkout) tagged() (version, error) {
	switch versions := c.versions(); len(versions) {
	case 0:
		return "", cli.Usagef("commit %.12s has no version's tag: check out the one to release, tag this one (git tag -a v0.1.0), "+
			"or give the version that it will be with VERSION=0.1.0; VERSION=snapshot builds what is no release", c.commit)
	case 1:
		return versions[0], nil
	default:
		return "", cli.Usagef("commit %.12s is %s and %s: say which with VERSION=%s", c.commit, versions[0].tag(), versions[1].tag(), versions[1])
	}
}

// accept takes the version that was given, unless it is another commit's.
func (c checkout) accept(given string) (version, error) {
	v, err := parseVersion(given)
	if err != nil {
		return "", err
	}
	if owner, exists := c.tags[v.tag()]; exists && owner != c.commit {
		return "", cli.Usagef("%s is commit %.12s, not %.12s: check it out (git checkout %s), or give another version",
			v.tag(), owner, c.commit, v.tag())
	}
	return v, nil
}

// snapshot sorts before every release. The commit is cut at a length that does not
// depend on the clone, as git's own abbreviations do.
func (c checkout) snapshot() version {
	name := "0.0.0-snapshot.g" + c.commit[:12]
	if len(c.changes) > 0 {
		name += ".dirty"
	}
	return version(name)
}
