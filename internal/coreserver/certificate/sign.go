package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	anchorLife = 3 * 365 * 24 * time.Hour
	leafLife   = 90 * 24 * time.Hour
	// skew is how far the clock of a node may be behind that of the API server.
	skew = 24 * time.Hour

	versionKeySize = 32
)

// newAnchor makes an authority that can sign for names and below them alone.
func newAnchor(now time.Time, names []string) (anchor, error) {
	key, keyText, err := newKey()
	if err != nil {
		return anchor{}, err
	}
	template := newTemplate(now, now.Add(anchorLife), "leoflow core "+now.UTC().Format(time.DateOnly))
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	template.PermittedDNSDomains, template.PermittedDNSDomainsCritical = names, true
	certificate, err := sign(template, template, key.Public(), key)
	if err != nil {
		return anchor{}, fmt.Errorf("making core's authority: %w", err)
	}
	return anchor{certificate, keyText}, nil
}

// issue makes a certificate for names that the anchor signs.
func (a anchor) issue(now time.Time, names []string) (leaf, error) {
	block, _ := pem.Decode([]byte(a.key.Reveal())) // as readKeys or newKey has written it
	signer, err := parseKey(block.Bytes)
	if err != nil {
		return leaf{}, fmt.Errorf("signing core's certificate: the authority's key %w", err)
	}
	key, keyText, err := newKey()
	if err != nil {
		return leaf{}, err
	}
	until := now.Add(leafLife)
	if until.After(a.certificate.NotAfter) {
		until = a.certificate.NotAfter
	}
	template := newTemplate(now, until, "leoflow core")
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames = names
	certificate, err := sign(template, a.certificate, key.Public(), signer)
	if err != nil {
		return leaf{}, fmt.Errorf("signing core's certificate: %w", err)
	}
	return leaf{certificate, encode("CERTIFICATE", certificate.Raw), keyText}, nil
}

// issuedAt is when core made a certificate.
func issuedAt(certificate *x509.Certificate) time.Time { return certificate.NotBefore.Add(skew) }

func newTemplate(now, until time.Time, name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // rand.Reader never fails
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-skew), NotAfter: until,
	}
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newKey() (crypto.Signer, secret.Text, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, secret.Text{}, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, secret.Text{}, fmt.Errorf("encoding a key: %w", err)
	}
	return key, secret.New(string(encode("PRIVATE KEY", der))), nil
}

// newVersionKey is as long as a SHA-256.
func newVersionKey() secret.Text {
	var raw [versionKeySize]byte
	_, _ = rand.Read(raw[:]) // never fails
	return secret.New(hex.EncodeToString(raw[:]))
}
