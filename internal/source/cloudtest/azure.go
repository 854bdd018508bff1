package cloudtest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	// AzureTokenAudience is that of pods' tokens for Azure.
	AzureTokenAudience = "api://AzureADTokenExchange"
	// AzureTenant is the vault's.
	AzureTenant = "aaaaaaaa-1111-1111-1111-111111111111"
)

// Azure is the authority of tokens and one vault at one URL. A principal is
// "NAMESPACE/SERVICEACCOUNT as CLIENT in TENANT".
type Azure struct {
	*Server
	// Trusts says which service accounts a client trusts; nil trusts all.
	Trusts func(subject, client, tenant string) bool
	// Scope is what an access token is for.
	Scope string
	// Challenge replaces the vault's demand for a token.
	Challenge string
}

// StartAzure serves until the test ends.
func StartAzure(t testing.TB, tokens *Tokens) *Azure {
	t.Helper()
	a := &Azure{Scope: "https://vault.azure.net/.default"}
	a.Server = start(t, tokens, func(*Server) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /"+AzureTenant+"/v2.0/.well-known/openid-configuration", a.discover)
		mux.HandleFunc("POST /"+AzureTenant+"/oauth2/v2.0/token", a.exchange)
		mux.HandleFunc("GET /secrets/{name}/{version...}", a.getSecret)
		mux.HandleFunc("GET /secrets", a.listSecrets)
		return mux
	})
	return a
}

func (a *Azure) discover(w http.ResponseWriter, r *http.Request) {
	if fault := a.begin(Discover); fault != nil {
		spoil(w, r, *fault)
		return
	}
	base := a.URL() + "/" + AzureTenant
	answer(w, map[string]string{
		"issuer": base + "/v2.0", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "token_endpoint": base + "/oauth2/v2.0/token",
	})
}

func (a *Azure) exchange(w http.ResponseWriter, r *http.Request) {
	if fault := a.begin(Exchange); fault != nil {
		spoil(w, r, *fault)
		return
	}
	subject, good := a.Tokens.subject(r.FormValue("client_assertion"), AzureTokenAudience)
	client, tenant := r.FormValue("client_id"), AzureTenant
	switch {
	case r.FormValue("grant_type") != "client_credentials",
		r.FormValue("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
		!strings.Contains(r.FormValue("scope"), a.Scope):
		spoil(w, r, Fault{Status: http.StatusBadRequest, Body: `{"error":"invalid_request"}`})
	case !good, a.Trusts != nil && !a.Trusts(subject, client, tenant):
		spoil(w, r, Fault{Status: http.StatusUnauthorized, Body: `{"error":"invalid_client","error_description":"AADSTS700024 ` + Needle + `"}`})
	default:
		answer(w, map[string]any{
			"access_token": a.open(subject + " as " + client + " in " + tenant), "expires_in": int(a.Lasting.Seconds()), "ext_expires_in": int(a.Lasting.Seconds()), "token_type": "Bearer",
		})
	}
}

func (a *Azure) getSecret(w http.ResponseWriter, r *http.Request) {
	bearer, sent := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !sent {
		a.challenge(w)
		return
	}
	if fault := a.begin(Access); fault != nil {
		spoilVault(w, r, *fault)
		return
	}
	principal, known := a.principal(bearer)
	if !known {
		a.challenge(w)
		return
	}
	value, err := a.read(principal, r.PathValue("name"), r.PathValue("version"))
	var fault Fault
	switch {
	case errors.As(err, &fault):
		spoilVault(w, r, fault)
	case errors.Is(err, provider.ErrDenied):
		spoil(w, r, Fault{Status: http.StatusForbidden, Body: vaultError("Forbidden")})
	case errors.Is(err, provider.ErrMissing):
		spoil(w, r, Fault{Status: http.StatusNotFound, Body: vaultError("SecretNotFound")})
	default:
		answer(w, map[string]string{"value": value, "id": a.URL() + r.URL.Path})
	}
}

// spoilVault has a code in every error, as Key Vault has.
func spoilVault(w http.ResponseWriter, r *http.Request, fault Fault) {
	if fault.Code == "" && fault.Body == "" {
		fault.Code = map[int]string{http.StatusNotFound: "SecretNotFound"}[fault.Status]
		if fault.Code == "" {
			fault.Code = "Forbidden"
		}
	}
	if fault.Code != "" {
		fault.Body = vaultError(fault.Code)
	}
	spoil(w, r, fault)
}

// listSecrets tells of two at a time.
func (a *Azure) listSecrets(w http.ResponseWriter, r *http.Request) {
	bearer, sent := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if _, known := a.principal(bearer); !sent || !known {
		a.challenge(w)
		return
	}
	if fault := a.begin(List); fault != nil {
		if fault.Code != "" {
			fault.Body = vaultError(fault.Code)
		}
		spoil(w, r, *fault)
		return
	}
	list := []any{}
	told := map[string]any{}
	for _, name := range a.Secrets() {
		if name <= r.FormValue("after") {
			continue
		}
		if len(list) == 2 {
			told["nextLink"] = a.URL() + "/secrets?api-version=" + r.FormValue("api-version") + "&after=" + r.FormValue("next")
			break
		}
		list = append(list, map[string]any{"id": a.URL() + "/secrets/" + name})
		r.Form.Set("next", name)
	}
	told["value"] = list
	answer(w, told)
}

func (a *Azure) challenge(w http.ResponseWriter) {
	demand := a.Challenge
	if demand == "" {
		demand = `Bearer authorization="` + a.URL() + `/` + AzureTenant + `", resource="https://vault.azure.net"`
	}
	w.Header().Set("WWW-Authenticate", demand)
	w.WriteHeader(http.StatusUnauthorized)
}

// vaultError is what Key Vault says: of what is forbidden, an inner code says why.
func vaultError(code string) string {
	said := map[string]any{"code": code, "message": Needle}
	if code != "Forbidden" && code != "SecretNotFound" {
		said = map[string]any{"code": "Forbidden", "message": Needle, "innererror": map[string]string{"code": code}}
	}
	body, _ := json.Marshal(map[string]any{"error": said})
	return string(body)
}
