package cloudtest

import (
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"net"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// What the workload identity pool of the test is called.
const (
	GCPAudience      = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster"
	GCPTokenAudience = "https:" + GCPAudience
)

// GCP is Secret Manager over gRPC, and over HTTP the exchange of tokens at "/token"
// and the impersonation beneath "/v1". A principal is "NAMESPACE/SERVICEACCOUNT", or
// the e-mail address of the account that was impersonated.
type GCP struct {
	*Server
	secretmanagerpb.UnimplementedSecretManagerServiceServer
	// Audience is the provider's name, TokenAudience that of pods' tokens.
	Audience, TokenAudience string
	// MayImpersonate says who may act as which account; nil lets nobody.
	MayImpersonate func(subject, account string) bool
	// Address is Secret Manager's, and RegionalAddress that of the only region there is, Region.
	Address, RegionalAddress string
	// Page, if set, is the page of a list that a token leads to, and what leads to the next.
	Page func(token string) (names []string, next string)
}

// StartGCP serves until the test ends.
func StartGCP(t testing.TB, tokens *Tokens) *GCP {
	t.Helper()
	g := &GCP{Audience: GCPAudience, TokenAudience: GCPTokenAudience}
	g.Server = start(t, tokens, func(*Server) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /token", g.exchange)
		mux.HandleFunc("POST /v1/projects/-/serviceAccounts/{account}", g.impersonate)
		return mux
	})
	g.Address = g.serve(t, global{GCP: g})
	g.RegionalAddress = g.serve(t, regional{GCP: g})
	return g
}

// Region is where regional secrets are.
const Region = "europe-west3"

// global serves every secret that is in no region, regional those of Region alone.
type (
	global   struct{ *GCP }
	regional struct{ *GCP }
)

// AccessSecretVersion implements Secret Manager's service.
func (g global) AccessSecretVersion(ctx context.Context, request *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	if strings.Contains(request.GetName(), "/locations/") {
		return nil, status.Error(codes.InvalidArgument, Needle)
	}
	return g.access(ctx, request)
}

// AccessSecretVersion implements Secret Manager's service.
func (g regional) AccessSecretVersion(ctx context.Context, request *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	if !strings.Contains(request.GetName(), "/locations/"+Region+"/") {
		return nil, status.Error(codes.InvalidArgument, Needle)
	}
	return g.access(ctx, request)
}

// ListSecrets implements Secret Manager's service, in one page unless Page is set.
func (g global) ListSecrets(ctx context.Context, request *secretmanagerpb.ListSecretsRequest) (*secretmanagerpb.ListSecretsResponse, error) {
	if fault := g.begin(List); fault != nil {
		return nil, spoilRPC(ctx, *fault)
	}
	sent, _ := metadata.FromIncomingContext(ctx)
	bearer := strings.TrimPrefix(strings.Join(sent.Get("authorization"), ","), "Bearer ")
	if _, known := g.principal(bearer); !known {
		return nil, status.Error(codes.Unauthenticated, Needle+bearer)
	}
	told := &secretmanagerpb.ListSecretsResponse{}
	var all []string
	if g.Page != nil {
		all, told.NextPageToken = g.Page(request.GetPageToken())
	} else {
		all = g.Secrets()
	}
	for _, name := range all {
		name = path.Base(name)
		if strings.Contains(name, strings.TrimPrefix(request.GetFilter(), "name:")) { // anywhere in it
			told.Secrets = append(told.Secrets, &secretmanagerpb.Secret{Name: request.GetParent() + "/secrets/" + name})
		}
	}
	return told, nil
}

// serve serves over gRPC until the test ends, and returns where.
func (g *GCP) serve(t testing.TB, service secretmanagerpb.SecretManagerServiceServer) (address string) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&g.tls.TLS.Certificates[0])))
	secretmanagerpb.RegisterSecretManagerServiceServer(server, service)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := testwait.Receive(t, served); !errors.Is(err, grpc.ErrServerStopped) { // stopped before it began
			assert.NoError(t, err)
		}
	})
	return listener.Addr().String()
}

func (g *GCP) exchange(w http.ResponseWriter, r *http.Request) {
	if fault := g.begin(Exchange); fault != nil {
		spoil(w, r, *fault)
		return
	}
	subject, good := g.Tokens.subject(r.FormValue("subject_token"), g.TokenAudience)
	switch {
	case r.FormValue("audience") != g.Audience,
		r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange",
		r.FormValue("subject_token_type") != "urn:ietf:params:oauth:token-type:jwt":
		spoil(w, r, Fault{Status: http.StatusBadRequest, Body: `{"error":"invalid_request"}`})
	case !good:
		spoil(w, r, Fault{Status: http.StatusBadRequest, Body: `{"error":"invalid_grant","error_description":"` + Needle + `"}`})
	default:
		answer(w, map[string]any{
			"access_token": g.open(subject), "expires_in": int(g.Lasting.Seconds()), "token_type": "Bearer",
			"issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
		})
	}
}

func (g *GCP) impersonate(w http.ResponseWriter, r *http.Request) {
	if fault := g.begin(Impersonate); fault != nil {
		spoil(w, r, *fault)
		return
	}
	account, isToken := strings.CutSuffix(r.PathValue("account"), ":generateAccessToken")
	subject, known := g.principal(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	switch {
	case !isToken:
		spoil(w, r, Fault{Status: http.StatusNotFound})
	case !known:
		spoil(w, r, Fault{Status: http.StatusUnauthorized})
	case g.MayImpersonate == nil || !g.MayImpersonate(subject, account):
		spoil(w, r, Fault{Status: http.StatusForbidden})
	default:
		answer(w, map[string]any{"accessToken": g.open(account), "expireTime": time.Now().Add(g.Lasting).UTC().Format(time.RFC3339)})
	}
}

func (g *GCP) access(ctx context.Context, request *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	fault := g.begin(Access)
	if fault != nil && !fault.Truncated {
		return nil, spoilRPC(ctx, *fault)
	}
	sent, _ := metadata.FromIncomingContext(ctx)
	bearer := strings.TrimPrefix(strings.Join(sent.Get("authorization"), ","), "Bearer ")
	principal, known := g.principal(bearer)
	if !known {
		return nil, status.Error(codes.Unauthenticated, Needle+bearer)
	}
	name, version, _ := strings.Cut(request.GetName(), "/versions/")
	value, err := g.read(principal, name, version)
	var refusal Fault
	if errors.As(err, &refusal) {
		return nil, spoilRPC(ctx, refusal)
	}
	if err != nil {
		return nil, status.Error(codeOf(err), Needle+bearer)
	}
	sum := int64(crc32.Checksum([]byte(value), crc32.MakeTable(crc32.Castagnoli)))
	if fault != nil {
		value = value[:len(value)/2]
	}
	return &secretmanagerpb.AccessSecretVersionResponse{
		Name: request.GetName(), Payload: &secretmanagerpb.SecretPayload{Data: []byte(value), DataCrc32C: &sum},
	}, nil
}

func spoilRPC(ctx context.Context, fault Fault) error {
	if fault.Silent {
		<-ctx.Done()
		return ctx.Err()
	}
	said := status.New(map[int]codes.Code{
		http.StatusBadRequest: codes.InvalidArgument, http.StatusUnauthorized: codes.Unauthenticated,
		http.StatusForbidden: codes.PermissionDenied, http.StatusNotFound: codes.NotFound,
		http.StatusTooManyRequests: codes.ResourceExhausted, http.StatusInternalServerError: codes.Internal,
		http.StatusServiceUnavailable: codes.Unavailable, http.StatusNotImplemented: codes.Unimplemented, http.StatusPreconditionFailed: codes.FailedPrecondition,
	}[fault.Status], Needle+fault.Body)
	if domain, reason, has := strings.Cut(fault.Code, "/"); has {
		said, _ = said.WithDetails(&errdetails.ErrorInfo{Domain: domain, Reason: reason, Metadata: map[string]string{"consumer": Needle}})
	}
	return said.Err()
}

func codeOf(err error) codes.Code {
	switch {
	case errors.Is(err, provider.ErrDenied):
		return codes.PermissionDenied
	case errors.Is(err, provider.ErrMissing):
		return codes.NotFound
	default:
		return codes.Internal
	}
}

func answer(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object)
}
