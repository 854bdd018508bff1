package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/leoflow/secrets-csi/internal/coreserver/entropy"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// KeySize is the length of a key in bytes: AES-256.
const KeySize = 32

// Key seals and opens values. It is safe for concurrent use.
type Key struct {
	aead cipher.AEAD
	raw  [KeySize]byte
}

// ParseKey reads a key written as 64 hexadecimal digits or as base64 of 32 bytes, in
// either alphabet, padded or not. Space around it, such as a file's last newline, is
// ignored. The error tells the shape of what was found and nothing of its content.
func ParseKey(text secret.Text) (*Key, error) {
	raw, err := decodeKey(strings.TrimSpace(text.Reveal()))
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("using seal key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("using seal key: %w", err)
	}
	return &Key{aead: aead, raw: [KeySize]byte(raw)}, nil
}

// Secret is the key itself, for deriving others from it.
func (k *Key) Secret() secret.Text { return secret.New(string(k.raw[:])) }

// Format prints no key, whatever the verb.
func (*Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// decodeKey needs no hint of the encoding: 64 hexadecimal digits read as base64 would
// be 48 bytes, which is no key.
func decodeKey(text string) ([]byte, error) {
	if text == "" {
		return nil, errors.New("seal key is empty; want 32 bytes as base64 or hex")
	}
	if len(text) == hex.EncodedLen(KeySize) {
		if raw, err := hex.DecodeString(text); err == nil {
			return random(raw)
		}
	}
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	raw, err := base64.RawStdEncoding.Strict().DecodeString(standard)
	if err != nil {
		return nil, fmt.Errorf("seal key of %d characters is neither base64 nor hex; want 32 bytes as base64 or hex", len(text))
	}
	if len(raw) != KeySize {
		return nil, fmt.Errorf("seal key has %d bytes; want %d as base64 or hex", len(raw), KeySize)
	}
	return random(raw)
}

// random refuses a key that nobody drew, such as one of zeros alone.
func random(raw []byte) ([]byte, error) {
	if entropy.Bits(string(raw)) < entropy.Least {
		return nil, errors.New("seal key repeats itself too much to be random; make one by 'head -c 32 /dev/urandom | base64'")
	}
	return raw, nil
}
