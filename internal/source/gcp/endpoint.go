package gcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	secretmanagerapi "cloud.google.com/go/secretmanager/apiv1"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

// maxEndpoints is more than Google has regions. Names of regions come from connections, so
// that there may be any number of those that do not exist.
const maxEndpoints = 64

const (
	// ioBuffer is what a connection reads through, whose TLS has a buffer already. gRPC would take 32 KiB,
	// for as long as there is the connection.
	ioBuffer = 4 << 10
	// window is what Google may send before it is taken in: a secret of the largest size. One of a fixed
	// size spares each call the pings by which gRPC finds out how large it had best be.
	window = 128 << 10
)

// endpoints are the connections to Secret Manager by region; "" is the global one. A regional
// secret is served by its region alone. Each connection is shared by all pods, and each call
// carries its own pod's token.
type endpoints struct {
	config Config

	mu     sync.Mutex
	opened map[string]*endpoint
	closed bool
}

// endpoint is one connection.
type endpoint struct {
	host string
	conn *grpc.ClientConn
	api  *secretmanagerapi.Client
	used time.Time
}

// at returns the endpoint of a region. It asks nobody.
func (e *endpoints) at(region string) (*endpoint, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := e.opened[region]
	if found == nil {
		opened, err := e.open(region)
		if err != nil {
			return nil, err
		}
		found = opened
	}
	found.used = time.Now()
	return found, nil
}

// open is called with the lock held.
func (e *endpoints) open(region string) (*endpoint, error) {
	if e.closed {
		return nil, errors.New("gcp: the client is closed")
	}
	address := e.config.addressOf(region)
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("gcp: connecting to %s: %w", address, err)
	}
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(e.config.Roots, "")),
		grpc.WithReadBufferSize(ioBuffer),
		grpc.WithStaticStreamWindowSize(window),
		grpc.WithStaticConnWindowSize(window),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		return nil, fmt.Errorf("gcp: connecting to %s: %w", address, err)
	}
	// A logger of its own, because the SDK's default one is set by the environment and
	// prints what it fetched.
	api, err := secretmanagerapi.NewClient(context.Background(), option.WithGRPCConn(conn), option.WithLogger(silent()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gcp: preparing Secret Manager's client: %w", err), conn.Close())
	}
	e.makeRoom()
	opened := &endpoint{host: host, conn: conn, api: api}
	e.opened[region] = opened
	return opened, nil
}

// makeRoom closes the regional connection that was used the longest ago. A call that is under
// way on it fails, and is made again.
func (e *endpoints) makeRoom() {
	if len(e.opened) < maxEndpoints {
		return
	}
	oldest := ""
	for region, each := range e.opened {
		if region != "" && (oldest == "" || each.used.Before(e.opened[oldest].used)) {
			oldest = region
		}
	}
	_ = e.opened[oldest].conn.Close()
	delete(e.opened, oldest)
}

func (e *endpoints) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	var errs []error
	for _, each := range e.opened {
		errs = append(errs, each.conn.Close())
	}
	return errors.Join(errs...)
}

// addressOf is the host and port that serve the secrets of a region, or the global ones.
func (c Config) addressOf(region string) string {
	if region == "" {
		return c.Endpoint
	}
	return strings.ReplaceAll(c.RegionalEndpoint, "REGION", region)
}
