package providertest

import (
	"encoding/base64"
	"fmt"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Issuer is that of Token.
const Issuer = "https://issuer.example"

// Token has the form of a service account's token from kubelet. It ends with signature,
// which nobody verifies.
func Token(namespace, serviceAccount, signature string) secret.Text {
	payload := `{"iss":"` + Issuer + `","sub":"system:serviceaccount:` + namespace + ":" + serviceAccount + `"}`
	return secret.New("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + signature)
}

// Projected is one for an audience, as kubelet projects it into a pod of the service account.
func Projected(namespace, serviceAccount, audience, signature string) secret.Text {
	payload := fmt.Sprintf(`{"iss": %q, "sub": "system:serviceaccount:%s:%s", "aud": [%q], "kubernetes.io": {"namespace": %q, "serviceaccount": {"name": %q}}}`,
		Issuer, namespace, serviceAccount, audience, namespace, serviceAccount)
	return secret.New("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + signature)
}
