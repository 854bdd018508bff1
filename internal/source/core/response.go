package core

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// readResponse gives each pod what its own result points at, and nothing for any other
// reason. A result that contradicts itself or the request fails its own pod; one too
// many or too few fails them all, for nobody can tell whose they are. places are those of
// the pods' tokens among the callers. Pods whose results are equal share what is made of them.
func (c *Client) readResponse(response *secretsv1.FetchResponse, pods []provider.Identity, places []int, request provider.Request) []provider.Outcome {
	scrub := scrubberFor(pods)
	results, callers := response.GetResults(), slices.Max(places)+1
	if len(results) != callers {
		return sameForAll(pods, c.asking(fmt.Errorf("%w: %d results for %d callers", provider.ErrProtocol, len(results), callers)))
	}
	outcomes := make([]provider.Outcome, len(pods))
	var before *secretsv1.CallerResult
	for i, place := range places {
		own := results[place]
		if before != nil && proto.Equal(own, before) {
			outcomes[i] = outcomes[i-1]
			continue
		}
		before = own
		entries, err := answer{response, own, newLedger(request), scrub, pods[i].Token}.read()
		if err != nil {
			outcomes[i].Err = c.asking(err)
			continue
		}
		outcomes[i].Entries = entries
	}
	return outcomes
}

// answer is one pod's part of a response.
type answer struct {
	response *secretsv1.FetchResponse
	own      *secretsv1.CallerResult
	ledger   *ledger
	scrub    scrubber
	token    secret.Text
}

func (a answer) read() ([]entry.Entry, error) {
	if reason := a.own.GetUnauthenticated(); reason != "" {
		if a.own.GetWithheld() != "" {
			return nil, fmt.Errorf("%w: a caller is both refused and put off", provider.ErrProtocol)
		}
		if len(a.own.GetConnections())+len(a.own.GetVariables())+len(a.own.GetRefusals()) > 0 {
			return nil, fmt.Errorf("%w: a caller is both refused and served", provider.ErrProtocol)
		}
		return nil, tokenRefused(a.token, a.scrub.quote(reason))
	}
	if a.own.GetWithheld() != "" && len(a.own.GetConnections())+len(a.own.GetVariables()) > 0 {
		return nil, fmt.Errorf("%w: a caller is both put off and served", provider.ErrProtocol)
	}
	entries := make([]entry.Entry, 0, len(a.own.GetConnections())+len(a.own.GetVariables())+len(a.own.GetRefusals()))
	err := errors.Join(a.connections(&entries), a.variables(&entries), a.refusals(&entries))
	if err == nil && a.own.GetWithheld() != "" {
		return a.withheld(entries)
	}
	if err == nil {
		err = a.ledger.close()
	}
	if err != nil {
		// Names in it are the server's to choose.
		return nil, fmt.Errorf("%w: %s", provider.ErrProtocol, a.scrub.text(err.Error()))
	}
	return entries, nil
}

// withheld is the answer to a pod that core gives nothing for now: what is refused all the same, and
// everything else that has a name as unavailable. It is nobody else's trouble.
func (a answer) withheld(entries []entry.Entry) ([]entry.Entry, error) {
	why := "core gives it nothing now: " + a.scrub.text(a.own.GetWithheld())
	if a.ledger.request.Connections.All || a.ledger.request.Variables.All {
		return nil, provider.OfAccount(fmt.Errorf("%w: %s", provider.ErrUnavailable, why))
	}
	for name := range a.ledger.unsettled() {
		entries = append(entries, entry.Refused(name, entry.Unavailable, why))
	}
	return entries, nil
}

func (a answer) connections(entries *[]entry.Entry) error {
	all := a.response.GetConnections()
	rules, err := a.rules(a.own.GetConnectionRules(), len(a.own.GetConnections()))
	if err != nil {
		return err
	}
	for i, position := range a.own.GetConnections() {
		if uint64(position) >= uint64(len(all)) {
			return fmt.Errorf("connection %d of %d does not exist", position, len(all))
		}
		given := all[position]
		name := entry.Name{Kind: entry.Connection, ID: given.GetId()}
		if err := a.take(name, given.GetVersion()); err != nil {
			return err
		}
		taken, err := connection(given)
		if err != nil {
			*entries = append(*entries, invalid(name, err))
			continue
		}
		made := entry.OfConnection(taken, given.GetVersion())
		made.Rule = rules[i]
		*entries = append(*entries, made)
	}
	return nil
}

// invalid is an entry that Airflow could not hold. It spoils no other.
func invalid(name entry.Name, why error) entry.Entry {
	return entry.Refused(name, entry.Invalid, fmt.Sprintf("core's %s cannot be used: %v", name.Kind, why))
}

func (a answer) variables(entries *[]entry.Entry) error {
	all := a.response.GetVariables()
	rules, err := a.rules(a.own.GetVariableRules(), len(a.own.GetVariables()))
	if err != nil {
		return err
	}
	for i, position := range a.own.GetVariables() {
		if uint64(position) >= uint64(len(all)) {
			return fmt.Errorf("variable %d of %d does not exist", position, len(all))
		}
		given := all[position]
		if err := a.take(entry.Name{Kind: entry.Variable, ID: given.GetKey()}, given.GetVersion()); err != nil {
			return err
		}
		made := entry.OfVariable(given.GetKey(), secret.New(given.GetValue()), given.GetVersion())
		made.Rule = rules[i]
		*entries = append(*entries, made)
	}
	return nil
}

// rules are what count entries are given by, in their order; empty where core does not tell.
func (a answer) rules(positions []uint32, count int) ([]string, error) {
	names := make([]string, count)
	all := a.response.GetRules()
	if len(positions) > 0 && len(positions) != count {
		return nil, fmt.Errorf("%d rules for %d entries", len(positions), count)
	}
	for i, position := range positions {
		if uint64(position) >= uint64(len(all)) {
			return nil, fmt.Errorf("rule %d of %d does not exist", position, len(all))
		}
		names[i] = a.scrub.text(all[position])
	}
	return names, nil
}

func (a answer) take(name entry.Name, version string) error {
	if version == "" {
		return fmt.Errorf("%s has no version", name)
	}
	return a.ledger.settle(name)
}

func (a answer) refusals(entries *[]entry.Entry) error {
	for _, given := range a.own.GetRefusals() {
		name, state := entry.Name{Kind: kindOf(given.GetKind()), ID: given.GetName()}, stateOf(given.GetReason())
		if name.Kind == "" || state == "" {
			return fmt.Errorf("a refusal of %q is of kind %d, reason %d", given.GetName(), given.GetKind(), given.GetReason())
		}
		if err := a.ledger.settle(name); err != nil {
			return err
		}
		*entries = append(*entries, entry.Refused(name, state, a.scrub.text(given.GetDetail())))
	}
	return nil
}
