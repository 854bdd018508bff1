package metric

import (
	"crypto/x509"
	"encoding/pem"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leoflow/secrets-csi/internal/regular"
)

// Certificate has the end of the certificate in a file told. The file is read at every scrape,
// since it is replaced while the driver runs.
func (m *Metrics) Certificate(file string) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + "certificate_expiry_timestamp_seconds",
		Help: "When the driver's client certificate for core ends; 0 if it cannot be read."},
		func() float64 { return expiry(file) }))
}

func expiry(file string) float64 {
	content, err := regular.Read(file, regular.Most)
	if err != nil {
		return 0
	}
	var first time.Time
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err == nil && (first.IsZero() || certificate.NotAfter.Before(first)) {
			first = certificate.NotAfter
		}
	}
	if first.IsZero() {
		return 0
	}
	return float64(first.Unix())
}
