// Package claim reads what a token says of itself. Nobody has verified that: it tells a person what is
// wrong, and logs whose it is; who decides is whoever verifies it.
package claim

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// Claims are those of a service account's token, as Kubernetes makes it.
type Claims struct {
	Issuer   string    `json:"iss"`
	Audience Audiences `json:"aud"`
	Subject  string    `json:"sub"`
	Issued   float64   `json:"iat"`
	Expires  float64   `json:"exp"`
	// Bound is to what the token is bound.
	Bound struct {
		Namespace      string `json:"namespace"`
		Pod            Named  `json:"pod"`
		ServiceAccount Named  `json:"serviceaccount"`
	} `json:"kubernetes.io"`
}

// Named is an object of Kubernetes.
type Named struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// Audiences is one or several, as RFC 7519 allows.
type Audiences []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *Audiences) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		*a = make(Audiences, 1)
		return json.Unmarshal(data, &(*a)[0])
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// What is wrong with a text that is no token. The errors never quote it.
var (
	ErrNoToken = errors.New("holds no service-account token")
	ErrDecode  = errors.New("holds a token that cannot be decoded")
)

// Of reads the claims of a JSON web token.
func Of(token string) (Claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Claims{}, ErrNoToken
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var found Claims
	if err != nil || json.Unmarshal(payload, &found) != nil {
		return Claims{}, ErrDecode
	}
	return found, nil
}

// IsForAPIServer tells a token for the API server itself: the audience of such is the issuer, unless the cluster names
// another, which is then this one.
func (c Claims) IsForAPIServer() bool {
	return slices.ContainsFunc(c.Audience, func(audience string) bool {
		return audience == c.Issuer || strings.HasPrefix(audience, "https://kubernetes.default.svc")
	})
}

// ExpiresAt is when the token ends; zero if it does not say.
func (c Claims) ExpiresAt() time.Time {
	if c.Expires == 0 {
		return time.Time{}
	}
	return time.Unix(int64(c.Expires), 0).UTC()
}

// mostShown is the length of a claim that a message repeats.
const mostShown = 256

// Issuer is who made the token, as it says itself; empty for a text that is none, and where that does not belong
// into a message.
func Issuer(token string) string {
	found, err := Of(token)
	if err != nil {
		return ""
	}
	return inMessage(found.Issuer)
}

// Shown says of a token by what it is trusted or not, to stand behind why it was refused: for which audience
// it is, and of which issuer. It is empty for a text that is no token, and holds nothing else of it.
func Shown(token string) (text string) {
	found, err := Of(token)
	if err != nil {
		return ""
	}
	if audience := inMessage(strings.Join(found.Audience, ",")); audience != "" {
		text = " for audience " + audience
	}
	if issuer := inMessage(found.Issuer); issuer != "" {
		text += " of issuer " + issuer
	}
	if text != "" {
		text = ", a token" + text
	}
	return text
}

// inMessage is a claim if it is one printable word, and not long.
func inMessage(claim string) string {
	isOdd := func(char rune) bool { return char <= ' ' || char > '~' || char == ';' }
	if len(claim) > mostShown || strings.ContainsFunc(claim, isOdd) {
		return ""
	}
	return claim
}
