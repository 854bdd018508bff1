package secretmanager

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestWhatIsSaidOfATokenThatIsNotTaken(t *testing.T) {
	of := func(claims string) secret.Text {
		return secret.New("e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".n33dle")
	}
	const alone = "a token for audience aud"
	for name, row := range map[string]struct {
		token secret.Text
		want  string
	}{
		"a token":           {of(`{"iss":"https://issuer.example","sub":"n33dle"}`), alone + " of issuer https://issuer.example"},
		"no issuer":         {of(`{"sub":"n33dle"}`), alone},
		"an issuer of two":  {of(`{"iss":"a\nn33dle"}`), alone},
		"a sentence":        {of(`{"iss":"a; n33dle"}`), alone},
		"a long issuer":     {of(`{"iss":"` + strings.Repeat("n33dle", 100) + `"}`), alone},
		"another type":      {of(`{"iss":["n33dle"]}`), alone},
		"no JSON":           {of("n33dle"), alone},
		"no JSON web token": {secret.New("n33dle"), alone},
		"two parts":         {secret.New("e30.e30"), alone},
		"nothing":           {secret.Text{}, alone},
	} {
		assert.Equal(t, row.want, Presented{"aud", row.token}.String(), name)
	}
	shown := Presented{"aud", of(`{"iss":"https://issuer.example"}`)}
	for kind, isTold := range map[error]bool{
		provider.ErrUnauthenticated: true, provider.ErrDenied: true, provider.ErrUnavailable: false, provider.ErrMissing: false, nil: false,
	} {
		given := &Failure{Kind: kind, Text: "exchanging", Whole: true}
		got := shown.Refused(given)
		assert.Equal(t, isTold, strings.Contains(got.Error(), "exchanging, with a token for audience aud of issuer https://issuer.example"), "%v", kind)
		assert.Equal(t, "exchanging", given.Text, "which others may have")
		assert.Equal(t, kind, kindOf(got))
	}
	other := errors.New("x")
	assert.Equal(t, other, shown.Refused(other))
}
