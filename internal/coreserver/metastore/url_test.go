package metastore

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestURLsAreReadAsAirflowReadsThem(t *testing.T) {
	for text, want := range map[string]string{
		"postgresql://u:p@h:5433/d":                              "u p h 5433 d",
		"postgresql+psycopg2://u:p@h/d\n":                        "u p h 5432 d",
		"postgres://u:p@h/d?sslmode=disable&keepalives=1":        "u p h 5432 d",
		"postgresql+asyncpg://u:p@[::1]:5433/d":                  "u p ::1 5433 d",
		"postgresql://u%40x:p%40%3A%2F%3F%25%23%27%5C+%20@h/d":   `u@x p@:/?%#'\+  h 5432 d`,
		"postgresql://u:a:b@h/d":                                 "u a:b h 5432 d",
		"postgresql://u:p@h1:1,h2:2/d":                           "u p h1 1 d",
		"postgresql://u:p@/d?host=h1:1&host=h2:2":                "u p h1 1 d",
		"postgresql://u:p@/d?host=/run/postgresql":               "u p /run/postgresql 5432 d",
		"postgresql://u:p@%2Frun%2Fpostgresql/d":                 "u p /run/postgresql 5432 d",
		"postgresql://u:p@h/d?options=-csearch_path%3Dairflow":   "u p h 5432 d",
		"postgresql://u:p@h/d?connect_timeout=3&sslmode=require": "u p h 5432 d",
	} {
		config, err := parseURL(secret.New(text))
		if assert.NoError(t, err, text) {
			assert.Equal(t, want, config.User+" "+config.Password+" "+config.Host+" "+itoa(config.Port)+" "+config.Database, text)
		}
	}
}

// TestAWrongURLIsNotTold has the password wherever it may come to be when it is not encoded.
func TestAWrongURLIsNotTold(t *testing.T) {
	for _, text := range []string{
		"", "n33dle", "mysql://u:n33dle@h/d", "sqlite:////n33dle", "postgresql://u:p@n33dle@h/d", "postgresql://u:p/n33dle@h/d", "postgresql://u:1/n33dle@h/d",
		"postgresql://u:p?n33dle@h/d", "postgresql://u:p?n33dle=1@h/d", "postgresql://u:p#n33dle@h/d", "postgresql://u:%zzn33dle@h/d",
		"postgresql://u:p@h:n33dle/d", "postgresql://u:p@h/d?sslmode=n33dle", "postgresql://u:p@h/d?sslrootcert=/n33dle", "postgresql://u:p@h/d/n33dle",
		"postgresql://u:n33dle@h:99999/d", "postgresql://u:n33dle\x00@h/d", "postgresql://u:n33dle%00@h/d", "postgresql://u:p@h/d?connect_timeout=n33dle",
		"postgresql://u:p@h/d?sslmode=%zzn33dle",
	} {
		_, err := parseURL(secret.New(text))
		if assert.Error(t, err, text) {
			assert.NotContains(t, err.Error(), "n33dle", text)
		}
	}
	_, err := parseURL(secret.New("postgresql://u:n33dle@h/d?sslcrl=/etc/crl"))
	assert.EqualError(t, err, `has the option "sslcrl", which core does not know; remove it`)
}

func TestOptionsOfTLSAreHonoured(t *testing.T) {
	for mode, verified := range map[string]bool{"disable": false, "require": false, "verify-full": true} {
		config, err := parseURL(secret.New("postgresql://u:p@h/d?sslmode=" + mode))
		require.NoError(t, err)
		assert.Equal(t, mode == "disable", config.TLSConfig == nil, mode)
		assert.Empty(t, config.Fallbacks, mode)
		if config.TLSConfig != nil {
			assert.Equal(t, !verified, config.TLSConfig.InsecureSkipVerify, mode)
		}
	}
}
