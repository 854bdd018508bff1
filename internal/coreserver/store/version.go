package store

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// digestSize is what is kept of a SHA-256: 128 bits, 22 characters of base64.
const digestSize = 16

// Versioner names states of entries so that the name reveals nothing: a plain hash of
// a short password could be guessed offline, a keyed one cannot.
type Versioner struct{ key []byte }

// NewVersioner derives its own key from one that all replicas share, so that versions
// agree among them and outlive a restart.
func NewVersioner(shared secret.Text) (Versioner, error) {
	key, err := hkdf.Key(sha256.New, []byte(shared.Reveal()), nil, "leoflow core entry versions v1", sha256.Size)
	if err != nil {
		return Versioner{}, fmt.Errorf("deriving version key: %w", err)
	}
	return Versioner{key}, nil
}

// digest collects fields so that no two lists of fields look alike: each is preceded
// by whether it is there and by its length.
type digest struct{ hash.Hash }

func (v Versioner) begin(purpose string) digest {
	d := digest{hmac.New(sha256.New, v.key)}
	d.add(purpose)
	return d
}

func (d digest) add(field string) {
	var head [9]byte
	head[0] = 1
	binary.BigEndian.PutUint64(head[1:], uint64(len(field)))
	_, _ = d.Write(head[:])
	_, _ = d.Write([]byte(field))
}

func (d digest) addOptional(field *string) {
	if field == nil {
		_, _ = d.Write([]byte{0})
		return
	}
	d.add(*field)
}

func (d digest) addSecret(field *secret.Text) {
	if field == nil {
		_, _ = d.Write([]byte{0})
		return
	}
	d.add(field.Reveal())
}

func (d digest) String() string {
	return base64.RawURLEncoding.EncodeToString(d.Sum(nil)[:digestSize])
}

func (d digest) addConnection(connection airflow.Connection) {
	d.add(connection.Type)
	for _, field := range []*string{connection.Description, connection.Host, connection.Login, connection.Schema} {
		d.addOptional(field)
	}
	d.addSecret(connection.Password)
	d.addSecret(connection.Extra)
	if connection.Port == nil {
		d.addOptional(nil)
		return
	}
	d.add(string(binary.BigEndian.AppendUint16(nil, *connection.Port)))
}

// version names the state of one entry. Sealed values count as they are stored, so
// that nothing is opened for it.
func (v Versioner) version(e Entry) string {
	d := v.begin("entry")
	if e.Team != "" {
		d.add(e.Team)
	}
	d.add(string(e.Name.Kind))
	d.add(e.Name.ID)
	d.add(e.Invalid)
	d.add(e.value.Reveal())
	d.addConnection(e.connection)
	return d.String()
}

// revision names the state of everything that a watcher can see.
func (v Versioner) revision(watched []Watched) string {
	d := v.begin("revision")
	for _, w := range watched {
		d.add(string(w.Name.Kind))
		d.add(w.Name.ID)
		d.add(w.Version)
	}
	return d.String()
}
