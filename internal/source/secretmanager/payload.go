package secretmanager

import (
	"strings"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// maxPayload is the most that any of the three clouds stores.
const maxPayload = 64 << 10

// checkPayload refuses what no field of a connection can hold.
func checkPayload(payload secret.Text) error {
	value := payload.Reveal()
	switch {
	case value == "":
		return Unusable("the secret is empty; store the key in it")
	case len(value) > maxPayload:
		return Unusable("the secret is larger than 64 KiB; store the key alone")
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return Unusable("the secret is binary; store the key as text")
	}
	return nil
}
