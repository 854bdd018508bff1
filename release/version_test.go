package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

const (
	here  = "0e1a6acdeadbeef00e1a6acdeadbeef00e1a6acd"
	there = "fcc9df8deadbeef00fcc9df8deadbeef00fcc9df"
)

func TestChoose(t *testing.T) {
	for name, row := range map[string]struct {
		given   string
		change  func(*checkout)
		version version
		refusal string
	}{
		"the tag's": {version: "0.2.0"},
		"given":     {given: "0.2.0", change: func(c *checkout) { c.tags = nil }, version: "0.2.0"},
		"with a v":  {given: "v0.2.0-rc.1", version: "0.2.0-rc.1"},
		"snapshot":  {given: "snapshot", version: "0.0.0-snapshot.g0e1a6acdeadb"},
		"snapshot of changes": {given: "snapshot", change: func(c *checkout) { c.changes = []string{" M go.mod"} },
			version: "0.0.0-snapshot.g0e1a6acdeadb.dirty"},
		"other tags": {change: func(c *checkout) { c.tags["demo"], c.tags["1.0.0"], c.tags["vnext"] = here, here, here }, version: "0.2.0"},

		"no tag": {change: func(c *checkout) { delete(c.tags, "v0.2.0") },
			refusal: "commit 0e1a6acdeadb has no version's tag: check out the one to release, tag this one (git tag -a v0.1.0), " +
				"or give the version that it will be with VERSION=0.1.0; VERSION=snapshot builds what is no release"},
		"two tags": {change: func(c *checkout) { c.tags["v0.2.0-rc.2"] = here },
			refusal: "commit 0e1a6acdeadb is v0.2.0 and v0.2.0-rc.2: say which with VERSION=0.2.0-rc.2"},
		"changes": {change: func(c *checkout) { c.changes = []string{" M go.mod", "?? new"} },
			refusal: "the checkout has changes that are in no commit (M go.mod): commit them, or build a snapshot with VERSION=snapshot"},
		"changes and a version": {given: "0.3.0", change: func(c *checkout) { c.changes = []string{"?? new"} },
			refusal: "the checkout has changes that are in no commit (?? new): commit them, or build a snapshot with VERSION=snapshot"},
		"another commit's": {given: "0.1.0",
			refusal: "v0.1.0 is commit fcc9df8deadb, not 0e1a6acdeadb: check it out (git checkout v0.1.0), or give another version"},
		"no version":        {given: "1.2", refusal: `"1.2" is no version: write it like 0.1.0 or 0.1.0-rc.1`},
		"with a plus":       {given: "1.2.3+4", refusal: `"1.2.3+4" is no version: write it like 0.1.0 or 0.1.0-rc.1`},
		"with leading zero": {given: "1.02.3", refusal: `"1.02.3" is no version: write it like 0.1.0 or 0.1.0-rc.1`},
		"too long": {given: "1.2.3-" + strings.Repeat("x", 38),
			refusal: `version "1.2.3-` + strings.Repeat("x", 38) + `" is longer than the 43 bytes that are left for it in the chart's label`},
	} {
		t.Run(name, func(t *testing.T) {
			c := checkout{commit: here, tags: map[string]string{"v0.2.0": here, "v0.1.0": there}}
			if row.change != nil {
				row.change(&c)
			}
			chosen, err := c.choose(row.given)
			assert.Equal(t, row.version, chosen)
			if row.refusal == "" {
				assert.NoError(t, err)
			} else {
				assert.EqualError(t, err, row.refusal)
			}
		})
	}
}

// A snapshot is a version like others, so that every file can be named after it.
func TestSnapshotIsAVersion(t *testing.T) {
	snapshot := checkout{commit: here, changes: []string{"?? new"}}.snapshot()
	parsed, err := parseVersion(snapshot.tag())
	assert.NoError(t, err)
	assert.Equal(t, snapshot, parsed)
}
