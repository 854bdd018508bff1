package claim

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What stands behind a refusal is of the token's claims, which nobody has verified, and no other part of it.
func TestWhatIsShownOfATokenThatIsRefused(t *testing.T) {
	of := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".n33dle"
	}
	for name, row := range map[string]struct{ token, want string }{
		"a token":         {of(`{"iss":"https://issuer.example","aud":["leoflow-core"],"sub":"n33dle"}`), ", a token for audience leoflow-core of issuer https://issuer.example"},
		"an audience":     {of(`{"aud":"leoflow-core"}`), ", a token for audience leoflow-core"},
		"two audiences":   {of(`{"aud":["a","b"],"iss":"i"}`), ", a token for audience a,b of issuer i"},
		"an issuer":       {of(`{"iss":"i"}`), ", a token of issuer i"},
		"neither":         {of(`{"sub":"n33dle"}`), ""},
		"lines":           {of(`{"iss":"a\nn33dle","aud":"b\tn33dle"}`), ""},
		"a sentence":      {of(`{"iss":"a; n33dle","aud":"é"}`), ""},
		"long":            {of(`{"iss":"` + strings.Repeat("n33dle", 100) + `","aud":"` + strings.Repeat("n33dle", 100) + `"}`), ""},
		"another type":    {of(`{"iss":["n33dle"],"aud":{}}`), ""},
		"no JSON":         {of("n33dle"), ""},
		"no token":        {"n33dle", ""},
		"not in its form": {"e30.n33dle!.n33dle", ""},
		"nothing":         {"", ""},
	} {
		assert.Equal(t, row.want, Shown(row.token), name)
	}
}
