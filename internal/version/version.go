// Package version names the build.
package version

import "runtime"

// What the linker stamps: git describe's word for the source, and its commit, which is
// empty where nobody said.
var (
	Version = "dev"
	Commit  = ""
)

// Line is what a program answers to --version. It names all that is needed to build the
// same bytes again.
func Line(program string) string {
	return line(program, Version, Commit, runtime.Version())
}

func line(program, version, commit, toolchain string) string {
	if commit == "" {
		return program + " " + version + " (" + toolchain + ")"
	}
	return program + " " + version + " (commit " + commit + ", " + toolchain + ")"
}
