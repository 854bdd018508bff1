// Package version names the build.
package version

// Version is stamped by the linker from git describe.
var Version = "dev"
