package core_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const needle = providertest.Needle

// header and payload are the two parts of a JWT that a server is likely to repeat.
const token = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiJ0YXNrIn0" + needle + ".c2lnbmF0dXJl" + needle

func pod() provider.Identity {
	return provider.Identity{Namespace: "team", ServiceAccount: "etl", PodName: "etl-1", PodUID: "1", Token: secret.New(token)}
}

var oneVariable = providertest.Names(nil, []string{"env"})

// A bad answer, the sentinel it becomes, and the words that a user reads.
func TestFetchSaysWhoseTurnItIs(t *testing.T) {
	t.Parallel()
	authority, stranger := newAuthority(t, "core's authority"), newAuthority(t, "a stranger")
	overTLS := func(t *testing.T, settings *tls.Config) core.Config {
		address, _ := answering(status.New(codes.Internal, "must not be asked")).serve(t, "127.0.0.1:0", settings)
		return core.Config{Address: address, CAFile: authority.file}
	}
	for _, row := range []struct {
		name  string
		serve func(t *testing.T) core.Config
		want  error
		says  string
	}{
		{"core's certificate is a stranger's", func(t *testing.T) core.Config {
			return overTLS(t, stranger.serverTLS(t, stranger.issue(t, "core"), false))
		}, provider.ErrUnavailable, "core's certificate is signed by a stranger: check --core-ca"},
		{"core's certificate is for another name", func(t *testing.T) core.Config {
			return overTLS(t, authority.serverTLS(t, authority.issue(t, "other", func(c *x509.Certificate) {
				c.IPAddresses, c.DNSNames = nil, []string{"other.example.com"}
			}), false))
		}, provider.ErrUnavailable, "core's certificate is for another name: check --core-address"},
		{"core's certificate has expired", func(t *testing.T) core.Config {
			return overTLS(t, authority.serverTLS(t, authority.issue(t, "old", func(c *x509.Certificate) {
				c.NotAfter = time.Now().Add(-time.Minute)
			}), false))
		}, provider.ErrUnavailable, "core's certificate has expired or is not valid yet: renew it, and check this node's clock"},
		{"core speaks TLS 1.2 at most", func(t *testing.T) core.Config {
			settings := authority.serverTLS(t, authority.issue(t, "dated"), false)
			settings.MinVersion, settings.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
			return overTLS(t, settings)
		}, provider.ErrUnavailable, "protocol version not supported"},
		{"core wants a client certificate", func(t *testing.T) core.Config {
			return overTLS(t, authority.serverTLS(t, authority.issue(t, "mutual"), true))
		}, provider.ErrUnavailable, "core refused the client certificate, or misses one: check --core-cert and --core-key"},
		{"core is killed as the connection begins", func(t *testing.T) core.Config {
			mutual := authority.serverTLS(t, authority.issue(t, "killed"), true)
			node := authority.issue(t, "node")
			return core.Config{Address: dying(t, mutual), CAFile: authority.file, CertFile: node.certFile, KeyFile: node.keyFile}
		}, provider.ErrUnavailable, "core hung up before it said anything; it may be starting or stopping: "},
		{"core speaks no TLS", func(t *testing.T) core.Config { return overTLS(t, nil) },
			provider.ErrUnavailable, "core does not speak TLS at this address: check --core-address"},
		{"core is down", func(t *testing.T) core.Config {
			address, stop := new(server).serve(t, "127.0.0.1:0", nil)
			stop()
			return core.Config{Address: address, CAFile: authority.file}
		}, provider.ErrUnavailable, "core cannot be reached: \"dial tcp 127.0.0.1:"},
		{"core's name does not resolve", func(*testing.T) core.Config {
			return core.Config{Address: "core.invalid:8443", CAFile: authority.file}
		}, provider.ErrUnavailable, "core"},
		{"core accepts and says nothing", func(t *testing.T) core.Config {
			return core.Config{Address: silent(t), CAFile: authority.file, Timeout: 200 * time.Millisecond}
		}, provider.ErrUnavailable, "core could not be connected to in time"},
		{"core is slow", func(t *testing.T) core.Config {
			s := &server{fetch: func(ctx context.Context, _ *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}}
			config := s.start(t)
			config.Timeout = 200 * time.Millisecond
			return config
		}, provider.ErrUnavailable, "core did not answer in time"},

		{"garbage instead of HTTP/2", func(t *testing.T) core.Config {
			return core.Config{Address: chatter(t, authority), CAFile: authority.file}
		}, provider.ErrUnavailable, "core says"},
		{"a web page", page(func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>welcome</html>")) }),
			provider.ErrUnavailable, "core cannot answer now"},
		// gRPC forgets the 503 where the last try ends while it is still being sent.
		{"a proxy without a backend", page(func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }),
			provider.ErrUnavailable, "unavailable: core "},
		{"not found", page(func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }),
			provider.ErrProtocol, "this server speaks neither of core's contracts: check --core-address"},
		{"garbage instead of a message", page(frame(4, []byte{0xff, 0xff, 0xff, 0xff}, true)),
			provider.ErrProtocol, "core answered what it must not"},
		{"text that is not UTF-8", page(frame(6, []byte("\x12\x04\x0a\x02\xff\xfe"), true)),
			provider.ErrProtocol, "core answered what it must not"},
		{"64 MiB", page(frame(64<<20, make([]byte, 1<<16), true)),
			provider.ErrTooLarge, "larger than a message may be: this node accepts 8388608 bytes, and core may send less: ask for fewer entries"},
		{"more than core sends", func(t *testing.T) core.Config {
			s := &server{fetch: func(context.Context, *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
				return &secretsv1.FetchResponse{Variables: []*secretsv1.Variable{{Value: strings.Repeat("x", 2048)}}}, nil
			}}
			return s.start(t, grpc.MaxSendMsgSize(1024))
		}, provider.ErrTooLarge, "and core may send less: ask for fewer entries"},
		{"more than core takes", func(t *testing.T) core.Config {
			return new(server).start(t, grpc.MaxRecvMsgSize(16))
		}, provider.ErrTooLarge, "and core may send less: ask for fewer entries"},
		{"half a stream, said to be whole", page(frame(100, []byte("half"), true)),
			provider.ErrProtocol, "core answered what it must not"},
		{"half a stream, cut off", page(frame(100, []byte("half"), false)),
			provider.ErrProtocol, "core answered what it must not"},
		{"no message at all", page(frame(-1, nil, true)),
			provider.ErrProtocol, "core answered what it must not"},

		refused(codes.Unauthenticated, provider.ErrUnavailable, `core refused this node: check --core-token-file, or --core-cert and --core-key: "because"`),
		refused(codes.PermissionDenied, provider.ErrDenied, `core refused the caller: "because"`),
		refused(codes.Unavailable, provider.ErrUnavailable, `core says "because"`),
		refused(codes.DeadlineExceeded, provider.ErrUnavailable, "core did not answer in time"),
		refused(codes.ResourceExhausted, provider.ErrUnavailable, `core cannot answer now: "because" (ResourceExhausted)`),
		refused(codes.Unknown, provider.ErrUnavailable, `core cannot answer now: "because" (Unknown)`),
		refused(codes.Aborted, provider.ErrUnavailable, `core cannot answer now: "because" (Aborted)`),
		refused(codes.Canceled, provider.ErrUnavailable, `core cannot answer now: "because" (Canceled)`),
		refused(codes.Unimplemented, provider.ErrProtocol, "this server speaks neither of core's contracts"),
		refused(codes.InvalidArgument, provider.ErrProtocol, `core does not understand the request: "because"`),
		refused(codes.Internal, provider.ErrProtocol, `core answered what it must not: "because" (Internal)`),
		refused(codes.DataLoss, provider.ErrProtocol, `core answered what it must not: "because" (DataLoss)`),
		refused(codes.Code(99), provider.ErrProtocol, `core answered what it must not: "because" (Code(99))`),
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			config := row.serve(t)
			log := new(logged)
			config.Logger = log.logger()
			result, err := newClient(t, config).Fetch(t.Context(), pod(), oneVariable)
			require.ErrorIs(t, err, row.want)
			for _, other := range []error{provider.ErrUnavailable, provider.ErrUnauthenticated, provider.ErrDenied, provider.ErrProtocol, provider.ErrTooLarge} {
				assert.Equal(t, errors.Is(other, row.want), errors.Is(err, other), "%v", err)
			}
			assert.Contains(t, err.Error(), row.says)
			assert.Equal(t, saidToTheCall.MatchString(err.Error()), provider.IsOfCall(err), "%v", err)
			assert.Contains(t, err.Error(), "asking core at "+config.Address+": ")
			assert.Empty(t, result)
			assert.NotContains(t, err.Error()+log.String(), needle)
		})
	}
}

// saidToTheCall is what core says of it, in its own words or by being slow, and not what the
// connection says.
var saidToTheCall = regexp.MustCompile(`core (says|cannot answer now|did not answer in time)`)

type faultRow = struct {
	name  string
	serve func(t *testing.T) core.Config
	want  error
	says  string
}

// refused is a server that says no with code.
func refused(code codes.Code, want error, says string) faultRow {
	return faultRow{"core says " + code.String(), func(t *testing.T) core.Config {
		return answering(status.New(code, "because")).start(t)
	}, want, says}
}

func answering(answer *status.Status) *server {
	return &server{
		fetch: func(context.Context, *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
			return nil, answer.Err()
		},
	}
}

// An existing contract says of one caller that it is to ask less by a status with a delay. That is no
// word about anybody else's calls.
func TestWhoIsToAskLess(t *testing.T) {
	busy := status.New(codes.ResourceExhausted, "busy")
	throttled, err := busy.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Minute)})
	require.NoError(t, err)
	for said, ofAccount := range map[*status.Status]bool{busy: false, throttled: true} {
		_, err := newClient(t, answering(said).start(t)).Fetch(t.Context(), pod(), oneVariable)
		require.ErrorIs(t, err, provider.ErrUnavailable)
		assert.True(t, provider.IsOfCall(err))
		assert.Equal(t, ofAccount, provider.IsOfAccount(err))
	}
}

func TestFetchRepeatsNoTokenAndNoRubbish(t *testing.T) {
	for _, said := range []string{
		"bad token " + token,
		"bad payload " + strings.Split(token, ".")[1],
		strings.Repeat("x", 230) + token,
		"line\nbreak\x1b[31m\u202e\x00" + token,
		token + token,
		strings.Repeat("é", 10_000),
	} {
		for name, s := range map[string]*server{
			"in a status": answering(status.New(codes.Unauthenticated, said)),
			"in a result": {fetch: func(context.Context, *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
				return &secretsv1.FetchResponse{Results: []*secretsv1.CallerResult{{Unauthenticated: said}}}, nil
			}},
			"as a name": {fetch: func(context.Context, *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
				return &secretsv1.FetchResponse{Results: []*secretsv1.CallerResult{{Refusals: []*secretsv1.Refusal{
					{Kind: secretsv1.Kind_KIND_VARIABLE, Name: said, Reason: secretsv1.Refusal_REASON_MISSING},
				}}}}, nil
			}},
		} {
			t.Run(name, func(t *testing.T) {
				_, err := newClient(t, s.start(t)).Fetch(t.Context(), pod(), oneVariable)
				require.Error(t, err)
				assert.NotContains(t, err.Error(), needle)
				assert.NotContains(t, err.Error(), "eyJhbGciOiJIUzI1NiJ9")
				assert.NotRegexp(t, `[^ -~é…]`, err.Error())
				assert.Less(t, len(err.Error()), 500)
			})
		}
	}
}

func TestFetchRefusesTokensThatNoServerCouldAccept(t *testing.T) {
	s := new(server)
	client := newClient(t, s.start(t))
	for _, row := range []struct{ token, says string }{
		{"", "the pod has no token for core: list core's audience in the CSIDriver's tokenRequests, or set nodePublishSecretRef"},
		{needle + "\n", "holds a character that no token has (position 6)"},
		{needle + " x", "holds a character that no token has (position 6)"},
		{needle + "é", "holds a character that no token has (position 6)"},
	} {
		bare := pod()
		bare.Token = secret.New(row.token)
		_, err := client.Fetch(t.Context(), bare, oneVariable)
		require.ErrorIs(t, err, provider.ErrUnauthenticated)
		assert.Contains(t, err.Error(), row.says)
		assert.NotContains(t, err.Error(), needle)
	}
	assert.Zero(t, s.fetches.Load())
}

func TestFetchRefusesARequestThatIsTooLarge(t *testing.T) {
	s := new(server)
	config := s.start(t)
	config.MaxRequest = 300
	_, err := newClient(t, config).Fetch(t.Context(), pod(), providertest.Names(nil, []string{strings.Repeat("k", 300)}))
	require.ErrorIs(t, err, provider.ErrTooLarge)
	assert.Contains(t, err.Error(), "and 300 are the limit: ask for fewer entries")
	assert.Zero(t, s.fetches.Load())
}
