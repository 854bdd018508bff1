package secretmanager

import (
	"errors"

	"github.com/leoflow/secrets-csi/internal/claim"
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
	if issuer := claim.Issuer(p.Token.Reveal()); issuer != "" {
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
