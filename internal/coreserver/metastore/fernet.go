package metastore

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// A Fernet token is version, time, IV, ciphertext and tag; see
// https://github.com/fernet/spec/blob/master/Spec.md.
const (
	fernetVersion = 0x80
	headerSize    = 1 + 8
	leastToken    = headerSize + aes.BlockSize + aes.BlockSize + sha256.Size
	fernetKeySize = 32 // the first half signs, the second encrypts
)

// Keys are the Fernet keys of an Airflow, the newest first. None of them opens nothing.
type Keys []fernetKey

type fernetKey struct {
	signing     []byte
	block       cipher.Block
	fingerprint string
}

// parseKeys reads keys as "[core] fernet_key" lists them, by commas. An empty text has none.
func parseKeys(text secret.Text) (Keys, error) {
	var keys Keys
	parts := strings.Split(strings.TrimSpace(text.Reveal()), ",")
	for i, part := range parts {
		if len(parts) == 1 && part == "" {
			break
		}
		raw := lenientBase64(part)
		if len(raw) != fernetKeySize {
			return nil, fmt.Errorf("key %d of %d is no Fernet key, which is 32 bytes as URL-safe base64", i+1, len(parts))
		}
		block, err := aes.NewCipher(raw[fernetKeySize/2:])
		if err != nil {
			return nil, fmt.Errorf("key %d of %d: %w", i+1, len(parts), err)
		}
		sum := sha256.Sum256(raw)
		keys = append(keys, fernetKey{raw[:fernetKeySize/2], block, hex.EncodeToString(sum[:4])})
	}
	return keys, nil
}

// Format prints the fingerprints, whatever the verb.
func (k Keys) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, k.fingerprints()) }

// fingerprints tell keys apart and nothing about them: each is the begin of its SHA-256, and a
// Fernet key is 32 random bytes.
func (k Keys) fingerprints() string {
	list := make([]string, len(k))
	for i, key := range k {
		list[i] = key.fingerprint
	}
	return strings.Join(list, ", ")
}

var errNoKeys = errors.New("is encrypted, and core has no Fernet key; give it by --airflow-fernet-keys")

// open decrypts a token with whichever key has made it, as Airflow does. The token's time does
// not matter. The error holds neither token nor key.
func (k Keys) open(token string) (string, error) {
	if len(k) == 0 {
		return "", errNoKeys
	}
	raw := lenientBase64(token)
	if len(raw) < leastToken || raw[0] != fernetVersion || (len(raw)-leastToken)%aes.BlockSize != 0 {
		return "", errors.New("is said to be encrypted, and is no Fernet token")
	}
	for _, key := range k {
		if text, ok := key.open(raw); ok {
			return text, nil
		}
	}
	return "", fmt.Errorf("cannot be decrypted by any of the Fernet keys, whose SHA-256 begin with %s", k.fingerprints())
}

// open checks the tag before anything else, so that no padding is looked at which the key's owner
// did not write.
func (k fernetKey) open(raw []byte) (string, bool) {
	signed, tag := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	mac := hmac.New(sha256.New, k.signing)
	_, _ = mac.Write(signed)
	if !hmac.Equal(tag, mac.Sum(nil)) {
		return "", false
	}
	iv, sealed := signed[headerSize:headerSize+aes.BlockSize], signed[headerSize+aes.BlockSize:]
	plain := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(k.block, iv).CryptBlocks(plain, sealed)
	return unpad(plain)
}

// unpad takes the padding of PKCS #7 away.
func unpad(plain []byte) (string, bool) {
	count := int(plain[len(plain)-1])
	if count == 0 || count > aes.BlockSize {
		return "", false
	}
	good := 1
	for _, each := range plain[len(plain)-count:] {
		good &= subtle.ConstantTimeByteEq(each, byte(count))
	}
	return string(plain[:len(plain)-count]), good == 1
}

// lenientBase64 decodes as Python's urlsafe_b64decode: it takes both alphabets, skips what is of
// neither, and reads nothing behind the padding. It is nil for what Python refuses.
func lenientBase64(text string) []byte {
	var kept strings.Builder
	padding := 0
	for _, char := range []byte(text) {
		switch char {
		case '=':
			quad := kept.Len() % 4
			if padding++; quad >= 2 && quad+padding >= 4 {
				return decoded(kept.String())
			}
			continue
		case '-':
			char = '+'
		case '_':
			char = '/'
		}
		if isBase64(char) {
			kept.WriteByte(char)
			padding = 0
		}
	}
	if kept.Len()%4 != 0 {
		return nil
	}
	return decoded(kept.String())
}

func decoded(text string) []byte {
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return raw
}

func isBase64(char byte) bool {
	return char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9' || char == '+' || char == '/'
}
