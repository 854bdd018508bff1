package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLicensesOfAPackageAreThoseAboveItToo(t *testing.T) {
	root := t.TempDir()
	inner := filepath.Join(root, "pkg", "inner")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "beside"), 0o755))
	require.NoError(t, os.MkdirAll(inner, 0o755))
	for _, name := range []string{"LICENSE", "NOTICE.txt", "license.go", "pkg/inner/COPYING", "beside/LICENSE"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(name), 0o644))
	}
	files, err := licenseFiles([]dependency{{"example.com/m v1", root, inner}, {"example.com/m v1", root, root}})
	require.NoError(t, err)
	assert.Equal(t, map[string][]license{"example.com/m v1": {
		{"pkg/inner/COPYING", filepath.Join(inner, "COPYING")},
		{"LICENSE", filepath.Join(root, "LICENSE")}, {"NOTICE.txt", filepath.Join(root, "NOTICE.txt")},
	}}, files)
}

func TestSharedLicenseIsPrintedOnce(t *testing.T) {
	assert.Equal(t, "== a v1 LICENSE\n== c v1 LICENSE\n\nfree\n\n== b v1 LICENSE\n\nfreer\n\n", string(joined(map[string][]string{
		"freer\n": {"b v1 LICENSE"}, "free\n": {"c v1 LICENSE", "a v1 LICENSE"},
	})))
}

func TestEveryProgramMayBeHandedOn(t *testing.T) {
	for _, r := range recipes() {
		arm := v1.Platform{OS: "linux", Architecture: "arm64"}
		text, err := notices(t.Context(), options{source: ".."}, r.name, arm)
		require.NoError(t, err)
		assert.Contains(t, string(text), "Redistribution and use in source and binary forms")
		headings := regexp.MustCompile(`(?m)^== .*`).FindAllString(string(text), -1)
		assert.Len(t, slices.Compact(slices.Sorted(slices.Values(headings))), len(headings), "the order would be anybody's guess")
		again, err := notices(t.Context(), options{source: ".."}, r.name, arm)
		require.NoError(t, err)
		assert.Equal(t, string(text), string(again))
	}
}
