package core

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/leoflow/secrets-csi/internal/version"
)

// serviceConfig lets gRPC retry a Fetch that core could not take: with jitter, within
// the caller's deadline, and only while the node as a whole has retries to spend. Ten
// tokens, one gone for each failure and a tenth back for each success, none spent
// below five: 110 pods retry no more than a handful of times between them.
const serviceConfig = `{
	"methodConfig": [{
		"name": [
			{"service": "leoflow.secrets.v1.SecretsService", "method": "Fetch"},
			{"service": "leoflow.agent.v1.AgentService"}
		],
		"retryPolicy": {
			"maxAttempts": 4,
			"initialBackoff": "0.1s",
			"maxBackoff": "2s",
			"backoffMultiplier": 3,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}],
	"retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}
}`

const (
	// A node holds one connection; the default 32 KiB each way buy it nothing. What is written at
	// once is one record of TLS, and core keeps as much room for each node as its largest took.
	readBuffer, writeBuffer = 8 << 10, 2 << 10
	// window is what core may send before the node has taken it in: all of an ordinary
	// answer. A window of a fixed size spares each call the pings by which gRPC would find
	// out how large a larger one had best be.
	window = 1 << 20
	// What a server may say beside its messages, error texts included.
	maxHeaderList = 64 << 10

	// Servers that were told nothing else close a connection pinged more often than
	// every five minutes; some load balancers forget one idle for 350 seconds. Faster
	// word of a dead connection comes from unacknowledged data, for which gRPC sets
	// TCP_USER_TIMEOUT to pingTimeout, and from Watch's heartbeats.
	pingEvery   = 330 * time.Second
	pingTimeout = 15 * time.Second

	dialTimeout = 5 * time.Second
)

// connect prepares the connection; it is made when first used.
func connect(config Config, over *line) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if !config.PlaintextLoopback {
		var err error
		if transport, err = newTransport(config, over); err != nil {
			return nil, err
		}
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithContextDialer(over.dial),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithChainUnaryInterceptor(observing(config.Observer), surviving(over)),
		grpc.WithUserAgent("leoflow-secrets-csi/" + version.Version),
		grpc.WithReadBufferSize(readBuffer),
		grpc.WithWriteBufferSize(writeBuffer),
		grpc.WithStaticStreamWindowSize(window),
		grpc.WithStaticConnWindowSize(window),
		grpc.WithMaxHeaderListSize(maxHeaderList),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(config.MaxResponse)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.5, MaxDelay: 15 * time.Second},
			MinConnectTimeout: dialTimeout,
		}),
	}
	if config.ServerName != "" {
		options = append(options, grpc.WithAuthority(config.ServerName))
	}
	// The dialer resolves the name, with each attempt: gRPC's own resolver would look
	// no more than twice a minute, and its failures would come without their reason.
	return grpc.NewClient("passthrough:///"+config.Address, options...)
}

// connectNow has gRPC connect at once where it waits before it tries again. How often core is tried
// while it is away is for the caller of Fetch to say, who lets one call at a time find out.
func (c *Client) connectNow() {
	if c.conn.GetState() == connectivity.TransientFailure {
		c.conn.ResetConnectBackoff()
	}
}
