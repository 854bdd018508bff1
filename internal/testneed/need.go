// Package testneed lets a test say what it needs besides Linux and Go. A test whose need is
// missing is not run: 'make test' counts such tests at its end, and CI, which leaves nothing
// out, fails.
package testneed

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// record names the variable of the environment with the file that gets a line for what is
// not run: how many tests, their package, their name, and what is missing, with tabs
// between. Only 'make test' sets it.
const record = "LEOFLOW_TEST_NOT_RUN"

// Program ends a test that needs programs which are not in PATH.
func Program(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			Missing(t, name+" is not in PATH")
		}
	}
}

// Group ends a test that gives a file or a process to a group, where this user may not: a
// user namespace that an ordinary user made knows his own alone.
func Group(t testing.TB, gid int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, -1, gid); err != nil {
		Missing(t, fmt.Sprintf("this user may not use another group (%v)", errors.Unwrap(err)))
	}
}

// Missing ends a test that cannot be run here; what tells why.
func Missing(t testing.TB, what string) {
	t.Helper()
	if inCI() {
		t.Fatal(what + "; CI leaves no test out")
	}
	if err := write(1, t.Name(), what); err != nil {
		t.Fatal("counting a test that is not run:", err)
	}
	t.Skip(what)
}

// MissingForAll is for a TestMain whose tests cannot be run here. It returns the exit code.
func MissingForAll(what string) int {
	fmt.Println("not run:", what)
	if inCI() {
		fmt.Println("CI leaves no test out")
		return 1
	}
	count, err := countTests()
	if err == nil {
		err = write(count, "(all)", what)
	}
	if err != nil {
		fmt.Println("counting tests that are not run:", err)
		return 1
	}
	return 0
}

func inCI() bool { return os.Getenv("CI") != "" }

func write(count int, name, what string) (err error) {
	file := os.Getenv(record)
	if file == "" {
		return nil
	}
	to, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(to, "%d\t%s\t%s\t%s\n", count, packageName(), name, strings.ReplaceAll(what, "\n", " "))
	if closing := to.Close(); err == nil {
		err = closing
	}
	return err
}

// packageName is that of the tests, below the module.
func packageName() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return path.Base(os.Args[0])
	}
	return strings.TrimPrefix(strings.TrimSuffix(info.Path, ".test"), info.Main.Path+"/")
}

// countTests asks this test binary for the tests that it would run now.
func countTests() (count int, err error) {
	flag.Parse()
	pattern := "."
	if asked := flag.Lookup("test.run"); asked != nil && asked.Value.String() != "" {
		pattern = asked.Value.String()
	}
	names, err := exec.CommandContext(context.Background(), "/proc/self/exe", "-test.list="+pattern).Output()
	for line := range strings.Lines(string(names)) {
		if !strings.HasPrefix(line, "Benchmark") {
			count++
		}
	}
	return count, err
}

// Listing tells whether this test binary was only asked for the names of its tests.
func Listing() bool {
	flag.Parse()
	asked := flag.Lookup("test.list")
	return asked != nil && asked.Value.String() != ""
}
