package provider

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Versions makes versions for entries that come without one.
//
// Versions reach logs and the manifest. The hash is therefore keyed, lest a short
// password be guessed from it; and the key lives and dies with the process, for there
// is no place on a node to keep it. At worst each entry looks new once after a restart.
type Versions struct{ key [32]byte }

// NewVersions draws a key.
func NewVersions() Versions {
	var versions Versions
	_, _ = rand.Read(versions.key[:]) // never fails, by its own documentation
	return versions
}

// Of is the version of name while it holds content.
func (v Versions) Of(name entry.Name, content string) string {
	hash := hmac.New(sha256.New, v.key[:])
	var text [sha256.Size]byte
	for _, part := range []string{string(name.Kind), name.ID, content} {
		_, _ = hash.Write(append(strconv.AppendInt(text[:0], int64(len(part)), 10), ':'))
		_, _ = io.WriteString(hash, part)
	}
	return hex.EncodeToString(hash.Sum(text[:0])[:16])
}
