// Package component knows the programs of a node: the files each reads and the flags it
// is given.
package component

import (
	"bytes"
	"embed"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"
)

// The networks inside the node. Nothing outside can see them, so they never change.
const (
	PodNetwork     = "10.244.0.0/24"
	ServiceNetwork = "10.96.0.0/16"
	firstService   = "10.96.0.1" // of the service "kubernetes"
	apiPort        = "6443"
)

// Settings are what differs from node to node.
type Settings struct {
	Name        string // of the node, and of its cgroup
	NodeAddress netip.Addr
	PauseImage  string
}

// PodNetwork is for the templates.
func (Settings) PodNetwork() string { return PodNetwork }

//go:embed files
var files embed.FS

// destinations are where the templates go, within the node's etc.
var destinations = map[string]string{
	"files/containerd.toml": "containerd.toml",
	"files/pods.conflist":   "cni/pods.conflist",
	"files/kubelet.yaml":    "kubelet.yaml",
	"files/Corefile":        "Corefile",
}

// Configure writes all files that the programs read, keys and kubeconfigs included, to
// the directory that the node sees as its etc.
func Configure(etc string, settings Settings) error {
	templates, err := template.ParseFS(files, "files/*")
	if err != nil {
		return err
	}
	for from, to := range destinations {
		var content bytes.Buffer
		if err := templates.ExecuteTemplate(&content, filepath.Base(from), settings); err != nil {
			return err
		}
		if err := write(filepath.Join(etc, to), content.Bytes()); err != nil {
			return err
		}
	}
	return configureIdentities(etc, settings)
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("configuring the node: %w", err)
	}
	return nil
}
