// Package certificate makes core's own certificate and renews it, with the authority that drivers
// know core by. Both are kept in objects of Kubernetes that all replicas of core share.
package certificate

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Keys of the Secret. Those of the type kubernetes.io/tls are what core serves with; ca.crt is also
// the key of the ConfigMap that drivers read.
const (
	trustKey     = "ca.crt"
	signKey      = "ca.key"
	publishedKey = "ca.published"
	servedKey    = "tls.crt"
	servedKeyKey = "tls.key"
	versionKey   = "version.key"
)

// mostAnchors bounds the authorities that are read: core itself has three at most.
const mostAnchors = 8

// state is what the Secret holds.
type state struct {
	// anchors are the authorities that drivers are to trust, the newest first.
	anchors []anchor
	// published is since when drivers are known to be given anchors[0]; zero where they are not.
	published time.Time
	leaf      leaf
	// version is the key of entries' versions, which all replicas share and no renewal changes.
	version secret.Text
}

// anchor is an authority. Its key is empty where it signs no more.
type anchor struct {
	certificate *x509.Certificate
	key         secret.Text
}

func (a anchor) signs() bool { return a.key.Len() > 0 }

// leaf is the certificate that core serves with. The zero leaf is none.
type leaf struct {
	certificate *x509.Certificate
	chain       []byte // as PEM
	key         secret.Text
}

// parse reads what it can. The error names the keys that it could not use, and nothing that they hold.
func parse(data map[string][]byte) (s state, faults error) {
	var faultList []error
	unusable := func(key, why string) { faultList = append(faultList, fmt.Errorf("%s %s", key, why)) }
	certificates, err := readAnchors(data[trustKey])
	if err != nil {
		unusable(trustKey, err.Error())
	}
	keys, err := readKeys(data[signKey])
	if err != nil {
		unusable(signKey, err.Error())
	}
	for _, certificate := range certificates {
		s.anchors = append(s.anchors, anchor{certificate, keys.of(certificate)})
	}
	if text := data[publishedKey]; len(text) > 0 {
		if s.published, err = time.Parse(time.RFC3339, string(text)); err != nil {
			unusable(publishedKey, "is no time")
		}
	}
	if len(data[servedKey])+len(data[servedKeyKey]) > 0 {
		pair, err := tls.X509KeyPair(data[servedKey], data[servedKeyKey])
		if err != nil {
			unusable(servedKey+" with "+servedKeyKey, "is no certificate with its key")
		} else {
			s.leaf = leaf{pair.Leaf, data[servedKey], secret.New(string(data[servedKeyKey]))}
		}
	}
	switch text := data[versionKey]; {
	case len(text) >= versionKeySize:
		s.version = secret.New(string(text))
	case len(text) > 0:
		unusable(versionKey, "is too short")
	}
	return s, errors.Join(faultList...)
}

// data is what parse reads.
func (s state) data() map[string][]byte {
	var keys bytes.Buffer
	for _, each := range s.anchors {
		keys.WriteString(each.key.Reveal())
	}
	published := ""
	if !s.published.IsZero() {
		published = s.published.UTC().Format(time.RFC3339)
	}
	return map[string][]byte{
		trustKey: s.bundle(), signKey: keys.Bytes(), publishedKey: []byte(published),
		servedKey: s.leaf.chain, servedKeyKey: []byte(s.leaf.key.Reveal()), versionKey: []byte(s.version.Reveal()),
	}
}

// bundle is what drivers are given.
func (s state) bundle() []byte {
	var bundle bytes.Buffer
	for _, each := range s.anchors {
		bundle.Write(encode("CERTIFICATE", each.certificate.Raw))
	}
	return bundle.Bytes()
}

// withAnchors adds those that are not there, without their keys: they are trusted and sign nothing.
func (s state) withAnchors(others []anchor) state {
	s.anchors = slices.Clone(s.anchors)
	for _, other := range others {
		if !trusts(s.anchors, other.certificate) {
			s.anchors = append(s.anchors, anchor{certificate: other.certificate})
		}
	}
	return s
}

func trusts(anchors []anchor, certificate *x509.Certificate) bool {
	return slices.ContainsFunc(anchors, func(each anchor) bool { return each.certificate.Equal(certificate) })
}

func readAnchors(text []byte) (found []*x509.Certificate, err error) {
	err = eachBlock(text, "CERTIFICATE", func(der []byte) error {
		certificate, err := x509.ParseCertificate(der)
		switch {
		case err != nil || !certificate.IsCA:
			return errors.New("holds what is no authority's certificate")
		case len(found) == mostAnchors:
			return errors.New("holds too many certificates")
		}
		found = append(found, certificate)
		return nil
	})
	return found, err
}

// keyring is keys as PEM, each with its public half.
type keyring []struct {
	public crypto.PublicKey
	text   secret.Text
}

func readKeys(text []byte) (found keyring, err error) {
	err = eachBlock(text, "PRIVATE KEY", func(der []byte) error {
		signer, err := parseKey(der)
		if err != nil {
			return err
		}
		found = append(found, struct {
			public crypto.PublicKey
			text   secret.Text
		}{signer.Public(), secret.New(string(encode("PRIVATE KEY", der)))})
		return nil
	})
	return found, err
}

// of is the key of the certificate; empty where it is not there.
func (k keyring) of(certificate *x509.Certificate) secret.Text {
	for _, each := range k {
		if public, ok := each.public.(interface{ Equal(crypto.PublicKey) bool }); ok && public.Equal(certificate.PublicKey) {
			return each.text
		}
	}
	return secret.Text{}
}

func parseKey(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, errors.New("holds what is no key")
	}
	return signer, nil
}

// eachBlock goes on after a block that take does not want, and returns the first such fault.
func eachBlock(text []byte, kind string, take func(der []byte) error) (fault error) {
	for rest := text; len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if len(bytes.TrimSpace(rest)) > 0 && fault == nil {
				fault = errors.New("is not PEM")
			}
			return fault
		}
		err := errors.New("holds another kind of block")
		if block.Type == kind {
			err = take(block.Bytes)
		}
		if fault == nil {
			fault = err
		}
	}
	return fault
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
