// Package cloudtest runs local servers that speak the protocols of the clouds' secret
// managers and of the token exchanges before them. They keep to the rules that matter
// here: nobody gets anything without a token that this package issued, and what they
// answer is decided by who asks.
package cloudtest

import (
	"crypto/rand"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Step is one of the calls that lead to a secret.
type Step string

// The steps; not every cloud has each.
const (
	Discover    Step = "discover"
	Exchange    Step = "exchange"
	Impersonate Step = "impersonate"
	Access      Step = "access"
	Batch       Step = "batch"
	List        Step = "list"
	Agent       Step = "agent"
)

// Fault is how a step goes wrong. As an error of Hold's, it is of one secret.
type Fault struct {
	// Status is the HTTP status to answer with, or its like in gRPC.
	Status int
	// Code is the cloud's own code for it, where it has one; in gRPC the domain and the reason of an ErrorInfo, with a slash between.
	Code   string
	Header map[string]string
	// Body replaces what a Fault of that status would say; in gRPC it is added.
	Body string
	// Silent never answers; Truncated stops in the middle.
	Silent, Truncated bool
}

func (f Fault) Error() string { return f.Code + f.Body }

// Needle stands in the text of every error that a server sends, beside whatever
// secrets the request held.
const Needle = "n33dle-of-a-server"

// Server is what the three clouds' servers have in common.
type Server struct {
	front
	// Tokens are those of pods.
	Tokens *Tokens
	// Secrets are the names that a list tells of.
	Secrets func() []string
	// Lasting is how long what tokens are exchanged for is good.
	Lasting time.Duration

	mu       sync.Mutex
	secret   func(principal, name, version string) (string, error)
	fault    func(Step) *Fault
	calls    map[Step]int
	sessions map[string]string // principal by access token
}

func start(t testing.TB, tokens *Tokens, handler func(*Server) http.Handler) *Server {
	t.Helper()
	s := &Server{
		Tokens: tokens, Lasting: time.Hour, calls: map[Step]int{}, sessions: map[string]string{},
		secret: tell, fault: func(Step) *Fault { return nil },
	}
	s.tls = httptest.NewUnstartedServer(handler(s))
	s.tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.tls.StartTLS()
	t.Cleanup(s.Stop)
	return s
}

// tell answers with who asked, and for what.
func tell(principal, name, version string) (string, error) {
	return principal + " reads " + name + " at " + version, nil
}

// Hold decides what every secret is from now on. It returns one of provider's
// sentinels, or a Fault, where there is none to give. By default a secret tells who asked for it.
func (s *Server) Hold(secret func(principal, name, version string) (string, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret = secret
}

// Break decides from now on how each step goes wrong; nil lets it go on.
func (s *Server) Break(fault func(Step) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Mend ends what Break began.
func (s *Server) Mend() { s.Break(func(Step) *Fault { return nil }) }

func (s *Server) read(principal, name, version string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secret(principal, name, version)
}

// Calls says how often a step was asked for.
func (s *Server) Calls(step Step) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[step]
}

// begin counts a step and says how it is to go wrong.
func (s *Server) begin(step Step) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[step]++
	return s.fault(step)
}

// open makes an access token for a principal.
func (s *Server) open(principal string) string {
	token := "n33dle-session-" + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[token] = principal
	return token
}

// Principal is whom an access token was made for, for servers beside this one.
func (s *Server) Principal(token string) (principal string, known bool) { return s.principal(token) }

func (s *Server) principal(token string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	principal, known := s.sessions[token]
	return principal, known
}

// spoil carries out a fault over HTTP. An error's body repeats the request, as a
// careless server's might.
func spoil(w http.ResponseWriter, r *http.Request, fault Fault) {
	// A server notices that its client has gone only once it has read the request.
	_ = r.ParseForm()
	sent, _ := io.ReadAll(r.Body)
	if fault.Silent {
		<-r.Context().Done()
		panic(http.ErrAbortHandler) //nolint:forbidigo // it hangs up; returning would answer with nothing
	}
	body := fault.Body
	if body == "" {
		body = Needle + " " + r.Form.Encode() + " " + string(sent) + " " + r.Header.Get("Authorization")
	}
	for name, value := range fault.Header {
		w.Header().Set(name, value)
	}
	if fault.Truncated {
		// The server then ends the connection short of what it announced.
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+100))
		fault.Status = http.StatusOK
	}
	w.WriteHeader(fault.Status)
	_, _ = io.WriteString(w, body)
}
