// Package pair reads a certificate and its key from files that somebody names.
package pair

import (
	"crypto/tls"

	"github.com/leoflow/secrets-csi/internal/regular"
)

// Read has both from PEM files.
func Read(certificate, key string) (tls.Certificate, error) {
	certificatePEM, err := regular.Read(certificate, regular.Most)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := regular.Read(key, regular.Most)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certificatePEM, keyPEM)
}
