package secretmanager

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Presented is the pod's token that an exchange shows to a cloud.
type Presented struct {
	Audience string
	Token    secret.Text
}

// String says by what a cloud trusts it or not, and holds nothing else of it.
func (p Presented) String() string {
	text := "a token for audience " + p.Audience
	if issuer := issuerOf(p.Token); issuer != "" {
		text += " of issuer " + issuer
	}
	return text
}

// Refused has the failure of an exchange say which token was not taken. Any other error stays as it is.
func (p Presented) Refused(err error) error {
	var failure *Failure
	if !errors.As(err, &failure) || !errors.Is(failure.Kind, provider.ErrUnauthenticated) && !errors.Is(failure.Kind, provider.ErrDenied) {
		return err
	}
	told := *failure
	told.Text += ", with " + p.String()
	return &told
}

// mostIssuer is the length of an issuer that a message repeats.
const mostIssuer = 256

// issuerOf is what a JSON web token says of who made it, which nobody has verified; empty for any other
// token, and where it does not belong into a message.
func issuerOf(token secret.Text) string {
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		return ""
	}
	decoded, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Issuer string `json:"iss"`
	}
	isOdd := func(char rune) bool { return char <= ' ' || char > '~' || char == ';' }
	if err != nil || json.Unmarshal(decoded, &claims) != nil || len(claims.Issuer) > mostIssuer || strings.ContainsFunc(claims.Issuer, isOdd) {
		return ""
	}
	return claims.Issuer
}
