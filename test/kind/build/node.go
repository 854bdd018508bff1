package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/semver"
)

// programs are the names that the node binary answers to.
var programs = []string{
	"coredns", "etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy",
	"kube-scheduler", "kubectl", "kubelet",
}

// Node returns a directory in the cache that holds the node binary under the name of
// each of its programs. It builds only if the sources, the modfile, the version or the
// Go toolchain differ from every earlier build; progress is what to tell a person then.
func Node(ctx context.Context, source, cache, version string, progress io.Writer) (string, error) {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return "", err
	}
	toolchain, err := goTool(ctx, source, "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return "", err
	}
	key, err := contentKey(source, version, toolchain)
	if err != nil {
		return "", fmt.Errorf("hashing the node's sources: %w", err)
	}
	dir := filepath.Join(cache, "node-"+version+"-"+key)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	_, _ = fmt.Fprintf(progress, "building Kubernetes %s, which takes minutes if Go's build cache has none of it\n", version)
	return dir, compile(ctx, source, version, dir)
}

// compile builds into a directory beside dir and renames it, so that dir is whole or
// absent.
func compile(ctx context.Context, source, version, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), "unfinished-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(unfinished) }()
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return err
	}
	_, err = goTool(ctx, source, "build", "-trimpath", "-modfile=kubernetes-"+version+".mod",
		"-ldflags="+linkerFlags(version), "-o", filepath.Join(unfinished, "node"), ".")
	if err != nil {
		return err
	}
	for _, program := range programs {
		if err := os.Symlink("node", filepath.Join(unfinished, program)); err != nil {
			return err
		}
	}
	return os.Rename(unfinished, dir)
}

// linkerFlags stamp the version, which Kubernetes would else report as v0.0.0-master.
func linkerFlags(version string) string {
	major, minor, _ := strings.Cut(strings.TrimPrefix(semver.MajorMinor(version), "v"), ".")
	flags := []string{"-s", "-w"}
	for _, where := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, set := range []string{"gitVersion=" + version, "gitMajor=" + major, "gitMinor=" + minor} {
			flags = append(flags, "-X", where+"."+set)
		}
	}
	return strings.Join(flags, " ")
}

// contentKey names a state of everything the binary is made from.
func contentKey(source, version, toolchain string) (string, error) {
	hash := sha256.New()
	_, _ = fmt.Fprintln(hash, toolchain, linkerFlags(version), programs)
	files, err := filepath.Glob(filepath.Join(source, "*.go"))
	if err != nil {
		return "", err
	}
	modfile := filepath.Join(source, "kubernetes-"+version)
	for _, file := range append(files, modfile+".mod", modfile+".sum") {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(hash, "%s %d\n%s", filepath.Base(file), len(content), content)
	}
	return hex.EncodeToString(hash.Sum(nil))[:12], nil
}

// goTool runs the go command without cgo: the node needs no C library, and a machine
// that builds it no C compiler.
func goTool(ctx context.Context, dir string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("running go %s: %w", args[0], err)
	}
	return string(out), nil
}
