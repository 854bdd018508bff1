package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// mostKeys is more than any cluster publishes at once.
const mostKeys = 64

// leastRSA and mostRSA bound the moduli that are believed, in bits: larger ones only cost
// time.
const leastRSA, mostRSA = 2048, 8192

// jwk is a public key as RFC 7517 writes it, and RFC 7518, section 6, its parts.
type jwk struct {
	Type  string `json:"kty"`
	ID    string `json:"kid"`
	Curve string `json:"crv"`
	X     string `json:"x"`
	Y     string `json:"y"`
	N     string `json:"n"`
	E     string `json:"e"`
}

// parseKeys reads a set of keys, by their ids. What it does not understand it passes over,
// as section 5 of the RFC has it; a set without any key that it does is an error.
func parseKeys(text []byte) (map[string]crypto.PublicKey, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("it is no set of keys in JSON")
	}
	if len(set.Keys) > mostKeys {
		return nil, fmt.Errorf("it has %d keys; at most %d are read", len(set.Keys), mostKeys)
	}
	keys := map[string]crypto.PublicKey{}
	for _, each := range set.Keys {
		if key, err := each.public(); err == nil {
			keys[each.ID] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key that signs tokens")
	}
	return keys, nil
}

func (j jwk) public() (crypto.PublicKey, error) {
	switch j.Type {
	case "RSA":
		return j.rsa()
	case "EC":
		return j.elliptic()
	default:
		return nil, fmt.Errorf("key of type %q", j.Type)
	}
}

func (j jwk) rsa() (crypto.PublicKey, error) {
	n, errN := number(j.N)
	e, errE := number(j.E)
	switch {
	case errN != nil || errE != nil:
		return nil, errors.Join(errN, errE)
	case n.BitLen() < leastRSA || n.BitLen() > mostRSA || e.BitLen() > 31 || e.Int64() < 3:
		return nil, errors.New("RSA key of a strange size")
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

func (j jwk) elliptic() (crypto.PublicKey, error) {
	curve, known := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[j.Curve]
	if !known {
		return nil, fmt.Errorf("curve %q", j.Curve)
	}
	x, errX := base64.RawURLEncoding.DecodeString(j.X)
	y, errY := base64.RawURLEncoding.DecodeString(j.Y)
	if err := errors.Join(errX, errY); err != nil {
		return nil, err
	}
	const uncompressed = 4
	return ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{uncompressed}, x...), y...))
}

func number(text string) (*big.Int, error) {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	return new(big.Int).SetBytes(bytes), err
}
