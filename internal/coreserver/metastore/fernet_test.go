package metastore

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// TestFernetIsPythons reads tokens, good and bad, that the package cryptography of Python made and
// was asked about. test/metastore asks the one that is installed with each Airflow.
func TestFernetIsPythons(t *testing.T) {
	content, err := os.ReadFile("testdata/fernet.json")
	require.NoError(t, err)
	var cases []struct {
		Keys, Token string
		Text        *string
	}
	require.NoError(t, json.Unmarshal(content, &cases))
	require.Greater(t, len(cases), 50)
	for i, each := range cases {
		keys, err := parseKeys(secret.New(each.Keys))
		require.NoError(t, err)
		text, err := keys.open(each.Token)
		if each.Text == nil {
			assert.Error(t, err, "case %d, token %q", i, each.Token)
			continue
		}
		if assert.NoError(t, err, "case %d, token %q", i, each.Token) {
			assert.Equal(t, *each.Text, text, "case %d", i)
		}
	}
}

const (
	keyOne = "81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs="
	keyTwo = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
)

func TestKeys(t *testing.T) {
	for name, want := range map[string]int{
		"": 0, "\n": 0, keyOne: 1, keyOne + "\n": 1, keyOne + "," + keyTwo: 2, keyOne + ", " + keyTwo + " \n": 2,
		strings.NewReplacer("-", "+", "_", "/").Replace(keyTwo): 1,
	} {
		keys, err := parseKeys(secret.New(name))
		require.NoError(t, err, name)
		assert.Len(t, keys, want, name)
	}
	for text, want := range map[string]string{
		"n33dle":                "key 1 of 1 is no Fernet key, which is 32 bytes as URL-safe base64",
		keyOne + ",":            "key 2 of 2 is no Fernet key, which is 32 bytes as URL-safe base64",
		keyOne + "," + "n33dle": "key 2 of 2 is no Fernet key, which is 32 bytes as URL-safe base64",
		keyOne[:40]:             "key 1 of 1 is no Fernet key, which is 32 bytes as URL-safe base64",
	} {
		_, err := parseKeys(secret.New(text))
		assert.EqualError(t, err, want)
	}
}

func TestWhatCannotBeDecryptedNamesTheKeys(t *testing.T) {
	keys, err := parseKeys(secret.New(keyTwo + "," + keyOne))
	require.NoError(t, err)
	_, err = keys.open("gAAAAABn33dle")
	assert.EqualError(t, err, "is said to be encrypted, and is no Fernet token")
	content, err := os.ReadFile("testdata/fernet.json")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(content), `"token": "`)
	token, _, _ := strings.Cut(rest, `"`)
	_, err = keys.open(token)
	assert.EqualError(t, err, "cannot be decrypted by any of the Fernet keys, whose SHA-256 begin with "+keys[0].fingerprint+", "+keys[1].fingerprint)
	_, err = Keys(nil).open(token)
	assert.EqualError(t, err, "is encrypted, and core has no Fernet key; give it by --airflow-fernet-keys")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		assert.Equal(t, keys.fingerprints(), fmt.Sprintf(verb, keys), verb)
	}
}
