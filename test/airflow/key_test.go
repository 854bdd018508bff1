package airflow

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"sync"
)

// madeKey is a private key of this run, since no key belongs into a repository.
var madeKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
})

// withKey puts the key where the file says @@KEY@@: in a JSON string, or in JSON text
// within one.
func withKey(file string) string {
	once := strings.ReplaceAll(madeKey(), "\n", `\n`)
	twice := strings.ReplaceAll(madeKey(), "\n", `\\n`)
	return strings.NewReplacer(`\"@@KEY@@\"`, `\"`+twice+`\"`, `"@@KEY@@"`, `"`+once+`"`).Replace(file)
}
