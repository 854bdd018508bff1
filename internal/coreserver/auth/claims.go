package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claims are what a per-task-instance token says of its caller.
type claims struct {
	jwt.RegisteredClaims
	Tenant string `json:"tenant_id"`
	DAG    string `json:"dag_id"`
	Run    string `json:"run_id"`
	Task   string `json:"task_id"`
	Try    int    `json:"try_number"`

	fault string // the first claim that cannot be read, and why
}

// UnmarshalJSON keeps what it cannot read for Validate to tell, which the parser calls
// once it knows that the signature is good.
func (c *claims) UnmarshalJSON(text []byte) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(text, &given); err != nil {
		return err
	}
	const words, seconds = "text", "a number of seconds since 1970, up to the year 9999"
	for _, claim := range []struct {
		name string
		into any
		want string
	}{
		{"iss", &c.Issuer, words},
		{"aud", &c.Audience, "text or a list of texts"},
		{"sub", &c.Subject, words},
		{"exp", &date{&c.ExpiresAt}, seconds},
		{"nbf", &date{&c.NotBefore}, seconds},
		{"iat", &date{&c.IssuedAt}, seconds},
		{"tenant_id", &c.Tenant, words},
		{"dag_id", &c.DAG, words},
		{"run_id", &c.Run, words},
		{"task_id", &c.Task, words},
		{"try_number", &c.Try, "an integer"},
	} {
		value, found := given[claim.name]
		if !found || string(value) == "null" || c.fault != "" {
			continue
		}
		if json.Unmarshal(value, claim.into) != nil {
			c.fault = fmt.Sprintf("its %s is not %s", claim.name, claim.want)
		}
	}
	return nil
}

// date reads a time as RFC 7519, section 2, writes it. The library's own type makes
// another time of one that is out of range, and not the same on every processor.
type date struct{ into **jwt.NumericDate }

func (d *date) UnmarshalJSON(text []byte) error {
	const endOfYear9999 = 253402300799
	var seconds float64
	if err := json.Unmarshal(text, &seconds); err != nil {
		return err
	}
	if seconds < 0 || seconds > endOfYear9999 {
		return errors.New("out of range")
	}
	*d.into = jwt.NewNumericDate(time.Unix(int64(seconds), 0))
	return nil
}

// Validate implements jwt.ClaimsValidator: what the registered claims do not cover.
func (c claims) Validate() error {
	switch {
	case c.fault != "":
		return errors.New(c.fault)
	case c.Subject == "":
		return errors.New("has no sub")
	case c.Tenant == "":
		return errors.New("has no tenant_id")
	default:
		return nil
	}
}
