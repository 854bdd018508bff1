package core

import (
	"context"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// callsAtOnce bounds what a group costs a core that takes one pod at a time.
const callsAtOnce = 4

// fetchExisting asks in the contract that existing cores serve, pod by pod. It returns
// everything the pod's tenant has, so the filter is here; and it knows no denial, so
// what is not there is missing.
func (c *Client) fetchExisting(ctx context.Context, pods []provider.Identity, request provider.Request) []provider.Outcome {
	outcomes := make([]provider.Outcome, len(pods))
	var calls errgroup.Group
	calls.SetLimit(callsAtOnce)
	for i, pod := range pods {
		calls.Go(func() error {
			outcomes[i].Result, outcomes[i].Err = c.fetchTenant(ctx, pod, request)
			return nil
		})
	}
	_ = calls.Wait() // each error stands in its outcome
	return outcomes
}

func (c *Client) fetchTenant(ctx context.Context, pod provider.Identity, request provider.Request) (provider.Result, error) {
	limited, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	limited = withBearer(limited, pod.Token)
	var result provider.Result
	err := c.tenantConnections(limited, request.Connections, &result)
	if err == nil {
		err = c.tenantVariables(limited, request.Variables, &result)
	}
	if err == nil {
		return result, nil
	}
	if statusOf(err).Code() == codes.Unimplemented {
		c.contract.rememberOurs()
	}
	return provider.Result{}, c.fault(ctx, err, newScrubber(pod.Token))
}

func withBearer(ctx context.Context, token secret.Text) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token.Reveal())
}

func (c *Client) tenantConnections(ctx context.Context, asked provider.Selection, result *provider.Result) error {
	if isEmpty(asked) {
		return nil
	}
	response, err := c.agent.GetConnections(ctx, &agentv1.GetConnectionsRequest{})
	if err != nil {
		return err
	}
	uris := response.GetConnectionUris()
	for _, id := range pick(asked, uris) {
		name := provider.Name{Kind: provider.Connection, ID: id}
		uri, exists := uris[id]
		if !exists {
			result.Refusals = append(result.Refusals, provider.Refusal{Name: name, Reason: provider.Missing})
			continue
		}
		parsed, err := airflow.ParseURI(id, uri)
		if err != nil {
			result.Refusals = append(result.Refusals, invalid(name, err))
			continue
		}
		result.Connections = append(result.Connections, provider.ConnectionEntry{
			Connection: parsed, Version: c.versions.Of(name, uri),
		})
	}
	return nil
}

func (c *Client) tenantVariables(ctx context.Context, asked provider.Selection, result *provider.Result) error {
	if isEmpty(asked) {
		return nil
	}
	response, err := c.agent.GetVariables(ctx, &agentv1.GetVariablesRequest{})
	if err != nil {
		return err
	}
	values := response.GetVariables()
	for _, key := range pick(asked, values) {
		name := provider.Name{Kind: provider.Variable, ID: key}
		value, exists := values[key]
		if !exists {
			result.Refusals = append(result.Refusals, provider.Refusal{Name: name, Reason: provider.Missing})
			continue
		}
		result.Variables = append(result.Variables, provider.VariableEntry{
			Key: key, Value: secret.New(value), Version: c.versions.Of(name, value),
		})
	}
	return nil
}

func isEmpty(asked provider.Selection) bool { return !asked.All && len(asked.Names) == 0 }

// pick is the names asked for, in the order asked; sorted where that is all there are.
func pick(asked provider.Selection, there map[string]string) []string {
	if asked.All {
		return slices.Sorted(maps.Keys(there))
	}
	return asked.Names
}
