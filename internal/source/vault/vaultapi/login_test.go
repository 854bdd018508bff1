package vaultapi

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// scripted is a Vault in memory, of which only the life of tokens matters. It counts requests by their path.
type scripted struct {
	renewable bool
	renewal   string // what a renewal is answered with
	counts    map[string]int
}

func (s *scripted) RoundTrip(request *http.Request) (*http.Response, error) {
	path := strings.TrimPrefix(request.URL.Path, "/v1/")
	s.counts[path]++
	status, body := http.StatusOK, `{"data":{"data":{"value":"x"}}}`
	switch path {
	case "auth/jwt/login":
		body = `{"auth":{"client_token":"t","lease_duration":60,"renewable":false}}`
		if s.renewable {
			body = `{"auth":{"client_token":"t","lease_duration":60,"renewable":true}}`
		}
	case "auth/token/renew-self":
		if body = s.renewal; body == "" {
			status, body = http.StatusForbidden, `{"errors":["n33dle"]}`
		}
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: request}, nil
}

func TestATokenIsRenewedBeforeItEnds(t *testing.T) {
	for name, row := range map[string]struct {
		renewable       bool
		renewal         string
		logins, renewed int
	}{
		"renewed":                      {true, `{"auth":{"client_token":"t","lease_duration":60,"renewable":true}}`, 1, 3},
		"at the end of its life":       {true, `{"auth":{"client_token":"t","lease_duration":1,"renewable":true}}`, 4, 3},
		"a renewal that fails":         {true, ``, 4, 3},
		"a batch token, that has none": {false, ``, 4, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			fake := &scripted{renewable: row.renewable, renewal: row.renewal, counts: map[string]int{}}
			at := &Client{Address: "https://v", AuthMount: "jwt", KVVersion: 2, HTTP: &http.Client{Transport: fake}}
			tested := at.Open("r", secretmanager.Presented{Token: secret.New("n33dle")})
			for range 4 {
				for range 3 {
					_, err := tested.Read(t.Context(), "secret", "variables/x")
					require.NoError(t, err)
				}
				time.Sleep(41 * time.Second) // of a lease of a minute
			}
			assert.Equal(t, row.logins, fake.counts["auth/jwt/login"], name)
			assert.Equal(t, row.renewed, fake.counts["auth/token/renew-self"], name)
			assert.Equal(t, 12, fake.counts["secret/data/variables/x"], name)
		})
	}
}

// TestNothingOfTheServersIsRepeated has an error quote what was sent.
func TestNothingOfTheServersIsRepeated(t *testing.T) {
	at := &Client{Address: "https://v", AuthMount: "jwt", KVVersion: 2}
	tested := at.Open("r", secretmanager.Presented{Token: secret.New("n33dle")})
	for status, kind := range map[int]error{
		400: provider.ErrUnauthenticated, 403: provider.ErrUnauthenticated, 404: provider.ErrUnauthenticated,
		429: provider.ErrUnavailable, 500: provider.ErrUnavailable, 503: provider.ErrUnavailable,
	} {
		at.HTTP = &http.Client{Transport: answering(status)}
		_, err := tested.Read(context.Background(), "secret", "variables/x")
		require.ErrorIs(t, err, kind, status)
		var failure *secretmanager.Failure
		require.ErrorAs(t, err, &failure)
		assert.True(t, failure.Whole, status)
		assert.NotContains(t, err.Error(), "n33dle")
	}
}

type answering int

func (a answering) RoundTrip(request *http.Request) (*http.Response, error) {
	sent, _ := io.ReadAll(request.Body)
	body := `{"errors":["n33dle ` + strings.ReplaceAll(string(sent), `"`, `'`) + `"]}`
	return &http.Response{StatusCode: int(a), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: request}, nil
}

// endless is a Vault each of whose folders holds two more.
type endless struct{ calls int }

func (e *endless) RoundTrip(request *http.Request) (*http.Response, error) {
	body := `{"auth":{"client_token":"t"}}`
	if request.Method == "LIST" {
		e.calls++
		body = `{"data":{"keys":["a/","b/","c"]}}`
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: request}, nil
}

func TestAListingHasAnEnd(t *testing.T) {
	fake := &endless{}
	at := &Client{Address: "https://v", AuthMount: "jwt", KVVersion: 2, HTTP: &http.Client{Transport: fake}}
	_, err := at.Open("r", secretmanager.Presented{Token: secret.New("j")}).List(t.Context(), "secret", "connections")
	var failure *secretmanager.Failure
	require.ErrorAs(t, err, &failure)
	assert.True(t, failure.TooLarge)
	assert.ErrorContains(t, err, "there are too many folders; name the entries")
	assert.Equal(t, maxFolders, fake.calls)
}

// silent answers no login, and is told when one ends.
type silent struct{ logins chan struct{} }

func (s silent) RoundTrip(request *http.Request) (*http.Response, error) {
	defer func() { s.logins <- struct{}{} }()
	<-request.Context().Done()
	return nil, request.Context().Err()
}

// A pod's entries log in once; each waits for that as long as it may itself, and no longer.
func TestWhoWaitsForALoginWaitsAsLongAsItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := silent{make(chan struct{}, 2)}
		at := &Client{Address: "https://v", AuthMount: "jwt", KVVersion: 2, HTTP: &http.Client{Transport: fake}}
		tested := at.Open("r", secretmanager.Presented{Token: secret.New("n33dle")})
		patient, giveUp := context.WithCancel(t.Context())
		defer giveUp()
		go func() { _, _ = tested.Read(patient, "secret", "variables/x") }()
		synctest.Wait()
		began := time.Now()
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := tested.Read(hasty, "secret", "variables/y")
		require.ErrorIs(t, err, provider.ErrUnavailable)
		assert.Equal(t, time.Second, time.Since(began))
		assert.Empty(t, fake.logins, "the other one's goes on")
		giveUp()
		<-fake.logins
	})
}
