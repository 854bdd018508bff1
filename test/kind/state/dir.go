// Package state is where a cluster keeps what it is and what it writes: one directory,
// which can be looked at, and thrown away.
package state

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
)

// Inside is where the node sees its state directory.
const Inside = "/node"

// Dir is the absolute path of a state directory, as the host sees it.
type Dir string

// Cluster is what must be known to boot a cluster again.
type Cluster struct {
	Version  string // of Kubernetes
	Binaries string // the directory of the node's programs
}

// Create makes the directory, if there is none. One that exists must be empty, or a
// cluster's.
func Create(path string) (Dir, error) {
	dir, err := Open(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(string(dir), 0o755); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(string(dir))
	if err != nil || len(entries) == 0 {
		return dir, err
	}
	if _, err := dir.Cluster(); err != nil {
		return "", fmt.Errorf("directory %s is something else's: %w", dir, err)
	}
	return dir, nil
}

// Renew makes the directory that of a new cluster, with nothing of an earlier one.
func (d Dir) Renew(cluster Cluster) error {
	if err := d.clear(); err != nil {
		return err
	}
	for _, sub := range []string{"etc", "var/log", "root"} {
		if err := os.MkdirAll(d.Path(sub), 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", d.Path("var", "run")); err != nil {
		return err
	}
	return writeJSON(d.record(), cluster)
}

// Open names the directory; it need not exist.
func Open(path string) (Dir, error) {
	absolute, err := filepath.Abs(path)
	return Dir(absolute), err
}

// Path of something within the directory.
func (d Dir) Path(elements ...string) string {
	return filepath.Join(append([]string{string(d)}, elements...)...)
}

// Kubeconfig is the administrator's, for use on the host.
func (d Dir) Kubeconfig() string { return d.Path("kubeconfig") }

func (d Dir) record() string { return d.Path("cluster.json") }

// Cluster reads what Renew wrote. fs.ErrNotExist says that no cluster is there.
func (d Dir) Cluster() (Cluster, error) {
	var cluster Cluster
	err := readJSON(d.record(), &cluster)
	return cluster, err
}

// Remove deletes the directory, if it is a cluster's.
func (d Dir) Remove() error {
	if _, err := d.Cluster(); err != nil {
		return err
	}
	if err := d.clear(); err != nil {
		return err
	}
	return os.RemoveAll(string(d))
}

// clear leaves only the record, so that a removal that is interrupted can be repeated.
func (d Dir) clear() error {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if path := d.Path(entry.Name()); path != d.record() {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// Lock keeps two commands from changing one cluster at once, until unlock or the end of
// the process. fs.ErrNotExist says that there is no directory.
func (d Dir) Lock() (unlock func(), err error) {
	descriptor, err := syscall.Open(string(d), syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "locking", Path: string(d), Err: err}
	}
	if err := syscall.Flock(descriptor, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = syscall.Close(descriptor)
		return nil, fmt.Errorf("another command is at work on %s: %w", d, err)
	}
	return func() { _ = syscall.Close(descriptor) }, nil
}

// Name is the cluster's own on this machine: of its node, its network link and its
// cgroups. It follows from the path, so that it is known even when all else is lost.
func (d Dir) Name() string {
	return "leoflow-" + hex.EncodeToString(d.hash()[:3])
}

// Addresses are those of the link's two ends. They are from 198.18.0.0/15, which RFC 2544
// sets aside for tests, and follow from the path, so that two clusters hardly collide.
func (d Dir) Addresses() (host, node netip.Addr) {
	base := binary.BigEndian.Uint32([]byte{198, 18, 0, 0})
	link := uint32(binary.BigEndian.Uint16(d.hash()[:2])) >> 1 // a /30 each
	address := func(offset uint32) netip.Addr {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, base+link<<2+offset)))
	}
	return address(1), address(2)
}

func (d Dir) hash() []byte {
	sum := sha256.Sum256([]byte(d))
	return sum[:]
}

func readJSON(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, from any) error {
	content, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}
