package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/testca"
)

// What clouds answer at, of which nothing leaves this machine: a proxy that the SDKs are told of
// brings every name to this process.
const (
	google, googleRegional = "secretmanager.googleapis.com", "secretmanager.europe-west3.rep.googleapis.com"
	microsoft, vault       = "login.microsoftonline.com", "lake.vault.azure.net"
)

// clouds are the secret managers that have no server of their own to install, and Microsoft's login.
// Each has the secrets of the request's path in secrets, and lets nobody else's token read them.
type clouds struct {
	secure, proxy net.Listener
	secrets       map[string]string
}

// startClouds serves until it is closed. The variables CLOUDS and CLOUDS_CA name the proxy and what to trust.
func (s *servers) startClouds() error {
	authority, err := testca.New("clouds authority")
	if err != nil {
		return err
	}
	pair, err := authority.Issue("clouds", func(c *x509.Certificate) { c.DNSNames = []string{google, googleRegional, microsoft, vault} })
	if err != nil {
		return err
	}
	certificate, err := pair.TLS()
	trusted := filepath.Join(s.judge.dir, "clouds.pem")
	if err = errors.Join(err, os.WriteFile(trusted, authority.PEM(), 0o600)); err != nil {
		return err
	}
	secure, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return err
	}
	proxy, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed with the servers
	if err != nil {
		return errors.Join(err, secure.Close())
	}
	c := &clouds{secure: secure, proxy: proxy, secrets: map[string]string{}}
	s.clouds, s.addresses["CLOUDS"], s.addresses["CLOUDS_CA"] = c, proxy.Addr().String(), trusted
	const slow = time.Minute
	go func() { _ = (&http.Server{Handler: c.handler(), ReadHeaderTimeout: slow}).Serve(secure) }()
	go func() { _ = (&http.Server{Handler: http.HandlerFunc(c.connect), ReadHeaderTimeout: slow}).Serve(proxy) }()
	return nil
}

func (c *clouds) close() error { return errors.Join(c.secure.Close(), c.proxy.Close()) }

// handler answers for all names; PUT stores what a test wants to be there.
func (c *clouds) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /", func(_ http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		c.secrets[r.Host+r.URL.Path] = string(content)
	})
	mux.HandleFunc("GET "+google+"/v1/", c.ofGoogle)
	mux.HandleFunc("GET "+googleRegional+"/v1/", c.ofGoogle)
	mux.HandleFunc("GET "+vault+"/secrets/", c.ofVault)
	mux.HandleFunc("GET "+microsoft+"/tenant/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		base := "https://" + microsoft + "/tenant"
		answer(w, map[string]string{"issuer": base + "/v2.0", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "token_endpoint": base + "/oauth2/v2.0/token"})
	})
	mux.HandleFunc("POST "+microsoft+"/tenant/oauth2/v2.0/token", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]any{"access_token": "of:" + r.FormValue("client_id"), "expires_in": 3600, "token_type": "Bearer"})
	})
	return mux
}

func (c *clouds) ofGoogle(w http.ResponseWriter, r *http.Request) {
	value, there := c.secrets[r.Host+r.URL.Path]
	switch {
	case r.Header.Get("Authorization") != "Bearer of:ambient@example.com":
		http.Error(w, "n33dle", http.StatusForbidden)
	case !there:
		http.Error(w, "n33dle", http.StatusNotFound)
	default:
		answer(w, map[string]any{"payload": map[string]string{"data": base64.StdEncoding.EncodeToString([]byte(value))}})
	}
}

func (c *clouds) ofVault(w http.ResponseWriter, r *http.Request) {
	value, there := c.secrets[r.Host+r.URL.Path]
	switch {
	case r.Header.Get("Authorization") != "Bearer of:ambient":
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://`+microsoft+`/tenant", resource="https://vault.azure.net"`)
		w.WriteHeader(http.StatusUnauthorized)
	case !there:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error": {"code": "SecretNotFound", "message": "n33dle"}}`)
	default:
		answer(w, map[string]string{"value": value, "id": "https://" + vault + strings.TrimRight(r.URL.Path, "/") + "/1"})
	}
}

func answer(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object)
}

// connect is a proxy's answer to CONNECT, of whatever name.
func (c *clouds) connect(w http.ResponseWriter, r *http.Request) {
	hijacker, can := w.(http.Hijacker)
	if r.Method != http.MethodConnect || !can {
		http.Error(w, "nothing but CONNECT", http.StatusBadRequest)
		return
	}
	there, err := net.Dial("tcp", c.secure.Addr().String()) //nolint:noctx // it ends with either side
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	here, _, err := hijacker.Hijack()
	if err != nil {
		_ = there.Close()
		return
	}
	_, _ = fmt.Fprint(here, "HTTP/1.1 200 Connected\r\n\r\n")
	go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
	go func() { _, _ = io.Copy(here, there); _ = here.Close() }()
}
