package core

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// callsAtOnce bounds what a group costs a core that takes one pod at a time.
const callsAtOnce = 4

// smallTenant is the largest answer of which so many are read at once.
const smallTenant = 64 << 10

// fetchExisting asks in the contract that existing cores serve, pod by pod. It returns
// everything the pod's tenant has, so the filter is here; and it knows no denial, so
// what is not there is missing.
func (c *Client) fetchExisting(ctx context.Context, pods []provider.Identity, request provider.Request) []provider.Outcome {
	outcomes := make([]provider.Outcome, len(pods))
	var calls errgroup.Group
	calls.SetLimit(callsAtOnce)
	if request.MaxBytes > smallTenant {
		calls.SetLimit(1) // each is all of a tenant
	}
	var same shared
	for i, pod := range pods {
		calls.Go(func() error {
			entries, err := c.fetchTenant(ctx, pod, request)
			outcomes[i] = provider.Outcome{Entries: same.of(entries), Err: err}
			return nil
		})
	}
	_ = calls.Wait() // each error stands in its outcome
	return outcomes
}

// shared keeps the entries of the pods of a group that are equal once.
type shared struct {
	mu    sync.Mutex
	first []entry.Entry
}

func (s *shared) of(entries []entry.Entry) []entry.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == nil {
		s.first = entries
	}
	isSame := func(a, b entry.Entry) bool {
		return a.Name() == b.Name() && a.State == b.State && a.Version == b.Version && a.Reason() == b.Reason()
	}
	if slices.EqualFunc(s.first, entries, isSame) {
		return s.first
	}
	return entries
}

func (c *Client) fetchTenant(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	limited, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	limited = withBearer(limited, pod.Token)
	most := c.atMost(request)
	connections, err := c.tenantConnections(limited, pod, request.Connections, most)
	if err == nil {
		var variables []entry.Entry
		if variables, err = c.tenantVariables(limited, pod, request.Variables, most); err == nil {
			return append(connections, variables...), nil
		}
	}
	if errors.Is(err, provider.ErrUnavailable) {
		return nil, c.asking(err)
	}
	if statusOf(err).Code() == codes.Unimplemented {
		c.contract.rememberOurs()
	}
	return nil, c.fault(ctx, err, request, newScrubber(pod.Token))
}

func withBearer(ctx context.Context, token secret.Text) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token.Reveal())
}

func (c *Client) tenantConnections(ctx context.Context, pod provider.Identity, asked provider.Selection, most grpc.CallOption) ([]entry.Entry, error) {
	if isEmpty(asked) {
		return nil, nil
	}
	response, err := c.agent.GetConnections(ctx, &agentv1.GetConnectionsRequest{}, most)
	if err != nil {
		return nil, err
	}
	if err := c.emptied.doubt(pod, entry.Connection, len(response.GetConnectionUris())); err != nil {
		return nil, err
	}
	return pick(entry.Connection, asked, response.GetConnectionUris(), func(name entry.Name, uri string) entry.Entry {
		parsed, err := airflow.ParseURI(name.ID, uri)
		if err != nil {
			return invalid(name, err)
		}
		return entry.OfConnection(parsed, c.versions.Of(name, uri))
	}), nil
}

func (c *Client) tenantVariables(ctx context.Context, pod provider.Identity, asked provider.Selection, most grpc.CallOption) ([]entry.Entry, error) {
	if isEmpty(asked) {
		return nil, nil
	}
	response, err := c.agent.GetVariables(ctx, &agentv1.GetVariablesRequest{}, most)
	if err != nil {
		return nil, err
	}
	if err := c.emptied.doubt(pod, entry.Variable, len(response.GetVariables())); err != nil {
		return nil, err
	}
	return pick(entry.Variable, asked, response.GetVariables(), func(name entry.Name, value string) entry.Entry {
		return entry.OfVariable(name.ID, secret.New(value), c.versions.Of(name, value))
	}), nil
}

func isEmpty(asked provider.Selection) bool { return !asked.All && len(asked.Names) == 0 }

// pick makes the entries asked for, in the order asked; sorted where that is all there are.
func pick(kind entry.Kind, asked provider.Selection, there map[string]string, made func(entry.Name, string) entry.Entry) []entry.Entry {
	ids := asked.Names
	if asked.All {
		ids = slices.Sorted(maps.Keys(there))
	}
	entries := make([]entry.Entry, len(ids))
	for i, id := range ids {
		name := entry.Name{Kind: kind, ID: id}
		if value, exists := there[id]; exists {
			entries[i] = made(name, value)
		} else {
			entries[i] = entry.Refused(name, entry.Missing, "")
		}
	}
	return entries
}
