package certificate

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnEmptySecretIsFilled(t *testing.T) {
	c := newCluster()
	first := started(t, c)
	first.assertTrusted(c)
	assert.Len(t, first.leaf().DNSNames, 2)
	assert.WithinDuration(t, begin.Add(leafLife), first.leaf().NotAfter, time.Second)
	held := c.data(secrets, keysAt)
	for _, key := range []string{trustKey, signKey, servedKey, servedKeyKey, versionKey} {
		assert.NotEmpty(t, held[key], key)
	}
	assert.Equal(t, map[string][]byte{trustKey: held[trustKey]}, c.data(configMaps, trustAt), "drivers are given no key")
	assert.Equal(t, string(held[versionKey]), first.VersionKey().Reveal())

	second := started(t, c)
	assert.Equal(t, first.leaf(), second.leaf())
	assert.Equal(t, first.VersionKey(), second.VersionKey())
	assert.False(t, second.look())
}

// The authority is for core's own names: whoever has its key can be core, and nobody else.
func TestTheAuthoritySignsForCoreAlone(t *testing.T) {
	made, err := newAnchor(begin, names)
	require.NoError(t, err)
	other, err := made.issue(begin, []string{"kubernetes.default.svc"})
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(made.certificate)
	_, err = other.certificate.Verify(x509.VerifyOptions{DNSName: "kubernetes.default.svc", Roots: roots, CurrentTime: begin})
	assert.ErrorContains(t, err, "not permitted")
}

// Two replicas look at different times for five years, beside drivers that are given what they trust
// with the delay that overlap is for, and whose clocks are behind as far as skew is for.
func TestNoRenewalEverFailsADriver(t *testing.T) {
	c := newCluster()
	const step, years = 8 * time.Hour, 5
	replicas := []*replica{started(t, c), started(t, c)}
	leaves, authorities := map[string]bool{}, map[string]bool{}
	most := 0
	// What was given 16 h ago, 8 h ago and now.
	late := [][]byte{c.data(configMaps, trustAt)[trustKey], c.data(configMaps, trustAt)[trustKey], nil}
	for i := range int(years * 365 * 24 * time.Hour / step) {
		replicas[i%2].look()
		given := c.data(configMaps, trustAt)[trustKey]
		late[2] = given
		for _, each := range replicas {
			leaf := each.leaf()
			leaves[leaf.SerialNumber.String()] = true
			require.NoError(t, trustsLeaf(given, leaf, c.now), "%s", c.now)
			require.NoError(t, trustsLeaf(late[0], leaf, c.now.Add(1-skew)), "%s", c.now)
		}
		anchors := certificatesIn(t, given)
		most = max(most, len(anchors))
		for _, each := range anchors {
			authorities[each.SerialNumber.String()] = true
		}
		late = append(late[1:], nil)
		c.pass(step)
	}
	assert.Len(t, authorities, 3, "every two years")
	assert.InDelta(t, years*365/60, len(leaves), 3, "every 60 days, and with an authority")
	assert.Equal(t, 2, most)
	held := c.data(secrets, keysAt)
	keys, err := readKeys(held[signKey])
	require.NoError(t, err)
	assert.Len(t, keys, 1, "keys of authorities that sign no more are gone")
	assert.Equal(t, replicas[0].VersionKey(), replicas[1].VersionKey())
}

// helms is a Secret as the chart made it before core did: for ten years, with RSA, and without the
// authority's key.
func helms(t *testing.T, until time.Duration) map[string][]byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	authority := newTemplate(begin, begin.Add(until), "leoflow core")
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	authorityCertificate, err := sign(authority, authority, key.Public(), key)
	require.NoError(t, err)
	served := newTemplate(begin, begin.Add(until), names[0])
	served.DNSNames, served.ExtKeyUsage = names, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	servedCertificate, err := sign(served, authorityCertificate, key.Public(), key)
	require.NoError(t, err)
	return map[string][]byte{
		trustKey: encode("CERTIFICATE", authorityCertificate.Raw), servedKey: encode("CERTIFICATE", servedCertificate.Raw),
		servedKeyKey: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
	}
}

// Drivers of the chart before know the authority that Helm made, from the Secret that it made.
func TestWhatHelmMadeIsTakenOver(t *testing.T) {
	c := newCluster()
	former := helms(t, 10*365*24*time.Hour)
	c.edit(secrets, formerAt, func(data map[string][]byte) {
		for key, value := range former {
			data[key] = value
		}
	})
	core := started(t, c)
	core.look() // and notices that it is published
	given := func() []byte { return c.data(configMaps, trustAt)[trustKey] }
	for range 24 {
		require.NoError(t, trustsLeaf(former[trustKey], core.leaf(), c.now), "a driver of before")
		core.assertTrusted(c)
		assert.Len(t, certificatesIn(t, given()), 2)
		core.look()
		c.pass(time.Hour)
	}
	assert.True(t, core.look())
	assert.Equal(t, certificatesIn(t, given())[0].Subject, core.leaf().Issuer, "drivers have had the new authority for a day")
	core.assertTrusted(c)
	c.pass(overlap)
	core.look()
	core.assertTrusted(c)
	assert.Len(t, certificatesIn(t, given()), 1, "Helm's record has a key of the authority before, and that is good for nothing now")
	assert.NotContains(t, core.VersionKey().Reveal(), "KEY")
}

func TestWhatHelmMadeAndHasEndedIsNotTakenOver(t *testing.T) {
	c := newCluster()
	former := helms(t, time.Hour)
	c.edit(secrets, formerAt, func(data map[string][]byte) {
		data[trustKey], data[servedKey], data[servedKeyKey] = former[trustKey], former[servedKey], former[servedKeyKey]
	})
	c.pass(2 * time.Hour)
	core := started(t, c)
	core.assertTrusted(c)
	assert.Len(t, certificatesIn(t, c.data(configMaps, trustAt)[trustKey]), 1)
}

// An authority can sign for the names alone that it was made for. What it signs for another too is good
// for none of them, and drivers had no core until they had the next authority for a day.
func TestANameIsAddedWithoutAPause(t *testing.T) {
	c := newCluster()
	core := started(t, c)
	c.pass(2 * overlap)
	core.look()
	given := c.data(configMaps, trustAt)[trustKey]
	const added = "core.example.com"
	core.config.Names = append(names[:len(names):len(names)], added)
	serials := map[string]bool{}
	for range 2 * int(overlap/time.Hour) {
		core.look()
		serials[core.leaf().SerialNumber.String()] = true
		require.NoError(t, trustsLeaf(given, core.leaf(), c.now))
		c.pass(time.Hour)
		if c.now.Sub(begin) >= 2*overlap+2*time.Hour {
			given = c.data(configMaps, trustAt)[trustKey]
		}
	}
	assert.Len(t, serials, 2, "what is good is not made anew each time")
	assert.NoError(t, core.leaf().VerifyHostname(added))
	core.assertTrusted(c)

	core.config.Names = []string{added}
	assert.False(t, core.look(), "what is good for more is good for less")

	core.config.Names = []string{"elsewhere.example.com"}
	assert.True(t, core.look(), "drivers that call core otherwise have nothing to lose")
	assert.NoError(t, core.leaf().VerifyHostname("elsewhere.example.com"))
}
