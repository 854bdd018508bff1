package provider

import "context"

// FetchGroup serves several pods that ask for the same: with one call where p can, or
// else one after the other.
func FetchGroup(ctx context.Context, p Provider, pods []Identity, request Request) []Outcome {
	if group, ok := p.(GroupFetcher); ok && len(pods) > 1 {
		return group.FetchGroup(ctx, pods, request)
	}
	outcomes := make([]Outcome, len(pods))
	for i, pod := range pods {
		outcomes[i].Result, outcomes[i].Err = p.Fetch(ctx, pod, request)
	}
	return outcomes
}
