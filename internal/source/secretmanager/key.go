package secretmanager

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Key stands for an identity, or for an identity and what is read under it. It is a keyed
// hash, so that what lies in memory does not name who may read what.
type Key [sha256.Size]byte

// keyer makes keys that mean nothing to another process.
type keyer struct{ salt [32]byte }

func newKeyer() keyer {
	var made keyer
	_, _ = rand.Read(made.salt[:]) // never fails: crypto/rand ends the process instead
	return made
}

// account covers what a service account is called.
func (k keyer) account(pod provider.Identity) Key {
	return k.key("account", pod.Namespace, pod.ServiceAccount)
}

// identity covers everything that decides under which cloud identity a session acts.
func (k keyer) identity(cloud string, subject Subject) Key {
	parts := []string{"identity", cloud, subject.Pod.Namespace, subject.Pod.ServiceAccount, subject.Role, subject.Location}
	for _, name := range slices.Sorted(maps.Keys(subject.Annotations)) {
		parts = append(parts, name, subject.Annotations[name])
	}
	return k.key(parts...)
}

func (k keyer) value(identity Key, ref entry.Reference) Key {
	return k.key("value", string(identity[:]), ref.Cloud, ref.Name, ref.Location, ref.Region, ref.Version, ref.Role)
}

// key puts each part's length before it, so that no two lists of parts look alike.
func (k keyer) key(parts ...string) Key {
	digest := hmac.New(sha256.New, k.salt[:])
	var text [256]byte // which takes most
	all := text[:0]
	for _, part := range parts {
		all = binary.BigEndian.AppendUint64(all, uint64(len(part)))
		all = append(all, part...)
	}
	digest.Write(all)
	return Key(digest.Sum(text[:0]))
}
