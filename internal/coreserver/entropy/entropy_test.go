package entropy

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestBits(t *testing.T) {
	for _, made := range []string{
		"", strings.Repeat("k", 40), strings.Repeat("\x00", 32), strings.Repeat("ab", 100), "passwordpasswordpasswordpassword",
		"00000000000000000000000000000001",
	} {
		assert.Less(t, Bits(made), float64(Least), made)
	}
	for range 1000 {
		drawn := make([]byte, 32)
		_, _ = rand.Read(drawn)
		for _, text := range []string{string(drawn), hex.EncodeToString(drawn), base64.StdEncoding.EncodeToString(drawn), base64.RawURLEncoding.EncodeToString(drawn[:24])} {
			assert.Greater(t, Bits(text), float64(Least))
		}
	}
}
