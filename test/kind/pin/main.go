// Pin writes the modfile that the node binary of one Kubernetes version is built with:
//
//	go run ./pin v1.36.3
//
// k8s.io/kubernetes refers to its own libraries by paths inside its repository, which
// mean nothing to who requires it as a module; each has to be replaced by the release
// of the same number. The list is read from the version's own go.mod.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/semver"
)

// coreDNS does not belong to a Kubernetes version. etcd does: what Kubernetes requires
// is what is built.
const coreDNS = "v1.14.2"

const source = "node"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pin:", err)
		os.Exit(1)
	}
}

func run(versions []string) error {
	if len(versions) == 0 {
		return errors.New("no version given: go run ./pin v1.36.3")
	}
	for _, version := range versions {
		if err := pin(version); err != nil {
			return fmt.Errorf("pinning %s: %w", version, err)
		}
	}
	return nil
}

func pin(version string) error {
	if semver.Major(version) != "v1" || semver.Canonical(version) != version {
		return fmt.Errorf("%q is not of the form v1.MINOR.PATCH", version)
	}
	staged, err := stagedModules(version)
	if err != nil {
		return err
	}
	modfile := "kubernetes-" + version + ".mod"
	if err := os.WriteFile(filepath.Join(source, modfile), compose(version, staged), 0o644); err != nil {
		return err
	}
	_, err = goTool("mod", "tidy", "-modfile="+modfile)
	return err
}

// compose writes what 'go mod tidy' needs to find the rest.
func compose(version string, staged []string) []byte {
	var modfile bytes.Buffer
	fmt.Fprintf(&modfile, "// Written by 'go run ./pin %s'.\n", version)
	fmt.Fprintln(&modfile, "module github.com/leoflow/secrets-csi/test/kind/node\n\ngo 1.26.0\n\nrequire (")
	fmt.Fprintln(&modfile, "github.com/coredns/coredns", coreDNS)
	fmt.Fprintln(&modfile, "k8s.io/kubernetes", version)
	fmt.Fprintln(&modfile, ")\n\nreplace (")
	for _, module := range staged {
		fmt.Fprintln(&modfile, module, "=>", module, "v0."+strings.TrimPrefix(version, "v1."))
	}
	fmt.Fprintln(&modfile, ")")
	return modfile.Bytes()
}

// stagedModules are the libraries that live inside the Kubernetes repository.
func stagedModules(version string) ([]string, error) {
	var download struct{ GoMod string }
	if err := goJSON(&download, "mod", "download", "-json", "k8s.io/kubernetes@"+version); err != nil {
		return nil, err
	}
	var gomod struct {
		Replace []struct{ Old, New struct{ Path string } }
	}
	if err := goJSON(&gomod, "mod", "edit", "-json", download.GoMod); err != nil {
		return nil, err
	}
	var staged []string
	for _, replace := range gomod.Replace {
		if strings.HasPrefix(replace.New.Path, "./staging/") {
			staged = append(staged, replace.Old.Path)
		}
	}
	return staged, nil
}

func goJSON(into any, args ...string) error {
	out, err := goTool(args...)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}

func goTool(args ...string) ([]byte, error) {
	command := exec.CommandContext(context.Background(), "go", args...)
	command.Dir = source
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("running go %s: %w", args[0]+" "+args[1], err)
	}
	return out, nil
}
