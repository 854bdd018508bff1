package main

import (
	"bytes"
	"encoding/pem"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// rootsPath is the first place where Go looks on Linux.
const rootsPath = "/etc/ssl/certs/ca-certificates.crt"

// roots are Mozilla's CA certificates, as PEM. Those that Mozilla trusts only in part,
// such as for certificates of before some day, are left out: a PEM file cannot say so.
func roots() ([]byte, error) {
	var file bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&file, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	return file.Bytes(), nil
}
