package kubetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
)

// KeyID names the key that signs, as Kubernetes does: by its hash.
func (s *Server) KeyID() string {
	point, _ := s.signer().PublicKey.Bytes()
	sum := sha256.Sum256(point)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (s *Server) signer() *ecdsa.PrivateKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key
}

// RotateKey has another key sign from now on.
func (s *Server) RotateKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making the key of service accounts: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = key
	return nil
}

// HideKeys has the server answer nobody who wants its keys, as one does that does not let
// core read them.
func (s *Server) HideKeys() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hidden = true
}

// KeyCalls is how often the keys were fetched.
func (s *Server) KeyCalls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keyCalls
}

// keys answers with the public key, as a set of one.
func (s *Server) keys(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	hidden := s.hidden
	s.mu.Unlock()
	if hidden {
		Refuse(w, http.StatusForbidden, "Forbidden")
		return
	}
	point, _ := s.signer().PublicKey.Bytes() // 4, X and Y
	encode := base64.RawURLEncoding.EncodeToString
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{
		"use": "sig", "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": s.KeyID(),
		"x": encode(point[1:33]), "y": encode(point[33:]),
	}}})
}
