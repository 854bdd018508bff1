package core

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// mostCallers is what a node of ordinary size never reaches; the bundled core accepts
// four times as many.
const mostCallers = 256

// Fetch implements provider.Provider.
func (c *Client) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	outcome := c.FetchGroup(ctx, []provider.Identity{pod}, request)[0]
	return outcome.Entries, outcome.Err
}

// FetchGroup implements provider.GroupFetcher: one call carries every pod's own token,
// in as few messages as their size and core's bounds allow.
func (c *Client) FetchGroup(ctx context.Context, pods []provider.Identity, request provider.Request) []provider.Outcome {
	outcomes := make([]provider.Outcome, len(pods))
	var callers []int
	for i, pod := range pods {
		if err := checkToken(pod.Token); err != nil {
			outcomes[i].Err = err
			continue
		}
		callers = append(callers, i)
	}
	for len(callers) > 0 {
		part := callers[:c.callersPerMessage(pods, callers, request)]
		callers = callers[len(part):]
		group := make([]provider.Identity, len(part))
		for i, position := range part {
			group[i] = pods[position]
		}
		for i, outcome := range c.fetch(ctx, group, request) {
			outcomes[part[i]] = outcome
		}
	}
	return outcomes
}

// checkToken refuses what no server could accept, before it is sent anywhere.
func checkToken(token secret.Text) error {
	if token.Len() == 0 {
		return fmt.Errorf("%w: the pod has no token for core: list core's audience in the CSIDriver's tokenRequests, or set nodePublishSecretRef; without a driver give --token-file or --task-token-file", provider.ErrUnauthenticated)
	}
	if at := strangeCharacter(token); at >= 0 {
		return fmt.Errorf("%w: the pod's token for core holds a character that no token has (position %d)", provider.ErrUnauthenticated, at)
	}
	return nil
}

// strangeCharacter is the position of the first that a header may not carry, or -1.
func strangeCharacter(token secret.Text) int {
	return strings.IndexFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' })
}

// callersPerMessage is how many of the callers fit into one message, one at least.
func (c *Client) callersPerMessage(pods []provider.Identity, callers []int, request provider.Request) int {
	const framing = 8 // tags and lengths of a Caller, generously
	empty := fetchRequest(nil, request)
	most := min(mostCallers, secretsv1.MostCallers(empty.GetConnections(), empty.GetVariables()))
	size := proto.Size(empty)
	for n, position := range callers {
		size += pods[position].Token.Len() + framing
		if n == most || (size > c.config.MaxRequest && n > 0) {
			return n
		}
	}
	return len(callers)
}

// fetch asks in the contract that the server speaks.
func (c *Client) fetch(ctx context.Context, pods []provider.Identity, request provider.Request) []provider.Outcome {
	c.connectNow()
	if c.contract.isExisting() {
		return c.fetchExisting(ctx, pods, request)
	}
	outcomes, err := c.fetchOurs(ctx, pods, request)
	if err == nil {
		if c.contract.rememberOurs() {
			c.config.Logger.Info("core now serves SecretsService")
		}
		return outcomes
	}
	switch statusOf(err).Code() {
	case codes.Unimplemented:
	case codes.Unauthenticated:
		return sameForAll(pods, c.asking(c.nodeRefused(err, pods)))
	default:
		return sameForAll(pods, c.fault(ctx, err, request, scrubberFor(pods)))
	}
	if c.contract.rememberExisting() {
		c.config.Logger.Info("core lacks SecretsService, using AgentService")
	}
	return c.fetchExisting(ctx, pods, request)
}

// fetchOurs returns an error of gRPC's where the call as a whole failed.
func (c *Client) fetchOurs(ctx context.Context, pods []provider.Identity, request provider.Request) ([]provider.Outcome, error) {
	bearers, places := bearersOf(pods)
	message := fetchRequest(bearers, request)
	if size := proto.Size(message); size > c.config.MaxRequest {
		return sameForAll(pods, c.asking(fmt.Errorf("%w: the request has %d bytes, and %d are the limit: ask for fewer entries",
			provider.ErrTooLarge, size, c.config.MaxRequest))), nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	ctx, err := c.underOwnIdentity(ctx)
	if err != nil {
		return sameForAll(pods, c.asking(err)), nil
	}
	response, err := c.secrets.Fetch(ctx, message, c.atMost(request))
	if err != nil {
		return nil, err
	}
	c.tickets.take(response.GetTickets())
	return c.readResponse(response, pods, places, request), nil
}

// mostBytes is the most that this node takes of an answer to the request.
func (c *Client) mostBytes(request provider.Request) int {
	if request.MaxBytes > 0 {
		return int(min(request.MaxBytes, int64(c.config.MaxResponse)))
	}
	return c.config.MaxResponse
}

// atMost refuses a larger answer by its first bytes, whatever the server makes of max_bytes.
func (c *Client) atMost(request provider.Request) grpc.CallOption {
	return grpc.MaxCallRecvMsgSize(c.mostBytes(request))
}

// bearersOf lists each token once, as core wants them, and the place in it of each pod's:
// kubelet gives two volumes of one pod the same token.
func bearersOf(pods []provider.Identity) (bearers []secret.Text, places []int) {
	known := make(map[string]int, len(pods))
	places = make([]int, len(pods))
	for i, pod := range pods {
		place, found := known[pod.Token.Reveal()]
		if !found {
			place = len(bearers)
			known[pod.Token.Reveal()] = place
			bearers = append(bearers, pod.Token)
		}
		places[i] = place
	}
	return bearers, places
}

func fetchRequest(bearers []secret.Text, request provider.Request) *secretsv1.FetchRequest {
	message := &secretsv1.FetchRequest{
		Callers:     make([]*secretsv1.Caller, len(bearers)),
		Connections: selection(request.Connections),
		Variables:   selection(request.Variables),
		MaxBytes:    uint64(request.MaxBytes),
	}
	for i, token := range bearers {
		message.Callers[i] = &secretsv1.Caller{Token: token.Reveal()}
	}
	return message
}

func selection(asked provider.Selection) *secretsv1.Selection {
	if asked.All {
		return &secretsv1.Selection{All: true}
	}
	return &secretsv1.Selection{Names: asked.Names}
}

// nodeRefused says that core refuses this node, and none of its pods: those are refused in
// the answer, each for itself. Waiting helps once somebody has mended it. A pod that asks for itself is
// refused for good.
func (c *Client) nodeRefused(err error, pods []provider.Identity) error {
	own := c.forgetNodeToken()
	said := scrubberFor(append(pods[:len(pods):len(pods)], provider.Identity{Token: own})).quote(statusOf(err).Message())
	if pods[0].Direct && pods[0].Token.Reveal() == own.Reveal() {
		return fmt.Errorf("%w: core says %s", provider.ErrUnauthenticated, said)
	}
	return fmt.Errorf("%w: core refused this node: check --core-token-file, or --core-cert and --core-key: %s", provider.ErrUnavailable, said)
}

func sameForAll(pods []provider.Identity, err error) []provider.Outcome {
	outcomes := make([]provider.Outcome, len(pods))
	for i := range outcomes {
		outcomes[i].Err = err
	}
	return outcomes
}
