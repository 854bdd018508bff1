package metric

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testca"
)

func TestExpiryIsThatOfTheFileAsItIsNow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tls.crt")
	assert.Zero(t, expiry(file))
	require.NoError(t, os.WriteFile(file, []byte("no certificate"), 0o600))
	assert.Zero(t, expiry(file))
	authority, err := testca.New("authority")
	require.NoError(t, err)
	pair, err := authority.Issue("node")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, pair.Certificate, 0o600))
	block, _ := pem.Decode(pair.Certificate)
	certificate, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	assert.EqualValues(t, certificate.NotAfter.Unix(), expiry(file))
}
