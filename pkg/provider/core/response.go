package core

import (
	"errors"
	"fmt"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// readResponse gives each pod what its own result points at, and nothing for any other
// reason. A result that contradicts itself or the request fails its own pod; one too
// many or too few fails them all, for nobody can tell whose they are.
func (c *Client) readResponse(response *secretsv1.FetchResponse, pods []provider.Identity, request provider.Request) []provider.Outcome {
	scrub := scrubberFor(pods)
	if len(response.GetResults()) != len(pods) {
		return sameForAll(pods, c.asking(fmt.Errorf("%w: %d results for %d callers", provider.ErrProtocol, len(response.GetResults()), len(pods))))
	}
	outcomes := make([]provider.Outcome, len(pods))
	for i, own := range response.GetResults() {
		result, err := answer{response, own, newLedger(request), scrub}.read()
		if err != nil {
			outcomes[i].Err = c.asking(err)
			continue
		}
		outcomes[i].Result = result
	}
	return outcomes
}

// answer is one pod's part of a response.
type answer struct {
	response *secretsv1.FetchResponse
	own      *secretsv1.CallerResult
	ledger   *ledger
	scrub    scrubber
}

func (a answer) read() (provider.Result, error) {
	if reason := a.own.GetUnauthenticated(); reason != "" {
		if len(a.own.GetConnections())+len(a.own.GetVariables())+len(a.own.GetRefusals()) > 0 {
			return provider.Result{}, fmt.Errorf("%w: a caller is both refused and served", provider.ErrProtocol)
		}
		return provider.Result{}, fmt.Errorf("%w: core refused the token: %s", provider.ErrUnauthenticated, a.scrub.quote(reason))
	}
	var result provider.Result
	err := errors.Join(a.connections(&result), a.variables(&result), a.refusals(&result))
	if err == nil {
		err = a.ledger.close()
	}
	if err != nil {
		// Names in it are the server's to choose.
		return provider.Result{}, fmt.Errorf("%w: %s", provider.ErrProtocol, a.scrub.text(err.Error()))
	}
	return result, nil
}

func (a answer) connections(result *provider.Result) error {
	all := a.response.GetConnections()
	for _, position := range a.own.GetConnections() {
		if uint64(position) >= uint64(len(all)) {
			return fmt.Errorf("connection %d of %d does not exist", position, len(all))
		}
		given := all[position]
		name := provider.Name{Kind: provider.Connection, ID: given.GetId()}
		if err := a.take(name, given.GetVersion()); err != nil {
			return err
		}
		taken, err := connection(given)
		if err != nil {
			result.Refusals = append(result.Refusals, invalid(name, err))
			continue
		}
		result.Connections = append(result.Connections, provider.ConnectionEntry{Connection: taken, Version: given.GetVersion()})
	}
	return nil
}

// invalid refuses an entry that Airflow could not hold, and spoils no other.
func invalid(name provider.Name, why error) provider.Refusal {
	return provider.Refusal{Name: name, Reason: provider.Invalid, Detail: fmt.Sprintf("core's %s cannot be used: %v", name.Kind, why)}
}

func (a answer) variables(result *provider.Result) error {
	all := a.response.GetVariables()
	for _, position := range a.own.GetVariables() {
		if uint64(position) >= uint64(len(all)) {
			return fmt.Errorf("variable %d of %d does not exist", position, len(all))
		}
		given := all[position]
		if err := a.take(provider.Name{Kind: provider.Variable, ID: given.GetKey()}, given.GetVersion()); err != nil {
			return err
		}
		result.Variables = append(result.Variables, provider.VariableEntry{
			Key: given.GetKey(), Value: secret.New(given.GetValue()), Version: given.GetVersion(),
		})
	}
	return nil
}

func (a answer) take(name provider.Name, version string) error {
	if version == "" {
		return fmt.Errorf("%s %q has no version", name.Kind, name.ID)
	}
	return a.ledger.settle(name)
}

func (a answer) refusals(result *provider.Result) error {
	for _, given := range a.own.GetRefusals() {
		name := provider.Name{Kind: kindOf(given.GetKind()), ID: given.GetName()}
		reason := reasonOf(given.GetReason())
		if name.Kind == "" || reason == "" {
			return fmt.Errorf("a refusal of %q is of kind %d, reason %d", given.GetName(), given.GetKind(), given.GetReason())
		}
		if err := a.ledger.settle(name); err != nil {
			return err
		}
		result.Refusals = append(result.Refusals, provider.Refusal{
			Name: name, Reason: reason, Detail: a.scrub.text(given.GetDetail()),
		})
	}
	return nil
}
