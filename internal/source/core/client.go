// Package core fetches entries from Leoflow's control plane, with each pod's own
// token, over one connection for the whole node.
//
// It speaks both of core's contracts: SecretsService, and where the server answers
// that with UNIMPLEMENTED the existing AgentService, filtered here to what was asked.
package core

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Client is core as a provider. It is safe for concurrent use. It starts nothing that
// outlives Close.
type Client struct {
	config   Config
	line     *line
	conn     *grpc.ClientConn
	agent    agentv1.AgentServiceClient
	secrets  secretsv1.SecretsServiceClient
	contract contract
	versions provider.Versions // for the contract that has none
	own      ownToken
	tickets  tickets
	emptied  emptied

	closeOnce sync.Once
	closed    context.Context
	close     context.CancelFunc
}

var (
	_ provider.Provider     = (*Client)(nil)
	_ provider.GroupFetcher = (*Client)(nil)
	_ provider.Watcher      = (*Client)(nil)
)

// New checks config and reads its files. It does not connect: that is the first
// call's work, so that a node can start while core is down.
func New(config Config) (*Client, error) {
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("configuring core's client: %w", err)
	}
	config = config.withDefaults()
	over := &line{plaintext: config.PlaintextLoopback}
	conn, err := connect(config, over)
	if err != nil {
		return nil, fmt.Errorf("configuring core's client: %w", err)
	}
	client := &Client{
		config:   config,
		line:     over,
		conn:     conn,
		agent:    agentv1.NewAgentServiceClient(conn),
		secrets:  secretsv1.NewSecretsServiceClient(conn),
		contract: contract{line: over, reprobeAfter: config.ReprobeAfter},
		versions: provider.NewVersions(),
		tickets:  newTickets(),
	}
	client.closed, client.close = context.WithCancel(context.Background())
	return client, nil
}

// Close ends the connection and every call and Watch that is under way.
func (c *Client) Close() error {
	var err error
	c.closeOnce.Do(func() {
		c.close()
		err = c.conn.Close()
	})
	return err
}
