package coreserver

import (
	"errors"
	"fmt"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
)

// checkFetch is every rule for a request on one screen.
func checkFetch(request *secretsv1.FetchRequest) error {
	connections, variables := request.GetConnections(), request.GetVariables()
	switch {
	case len(request.GetCallers()) == 0:
		return errors.New("callers: empty; want one for each pod")
	case len(request.GetCallers()) > secretsv1.MaxCallers:
		return fmt.Errorf("callers: %d of them; at most %d", len(request.GetCallers()), secretsv1.MaxCallers)
	case !asks(connections) && !asks(variables):
		return errors.New("connections, variables: nothing is asked for")
	}
	if err := checkSelection("connections", connections); err != nil {
		return err
	}
	if err := checkSelection("variables", variables); err != nil {
		return err
	}
	if most := secretsv1.MostCallers(connections, variables); len(request.GetCallers()) > most {
		return fmt.Errorf("callers: %d of them; at most %d for this many names: ask in several calls", len(request.GetCallers()), most)
	}
	return checkTokens(request.GetCallers())
}

// checkTokens refuses a token that comes twice: its bearer would be decided for twice.
func checkTokens(callers []*secretsv1.Caller) error {
	if len(callers) == 1 {
		return nil
	}
	seen := make(map[string]struct{}, len(callers))
	for i, caller := range callers {
		if _, twice := seen[caller.GetToken()]; twice {
			return fmt.Errorf("callers: the token of number %d comes twice", i)
		}
		seen[caller.GetToken()] = struct{}{}
	}
	return nil
}

func asks(selection *secretsv1.Selection) bool {
	return selection.GetAll() || len(selection.GetNames()) > 0
}

func checkSelection(field string, selection *secretsv1.Selection) error {
	names := selection.GetNames()
	switch {
	case selection.GetAll() && len(names) > 0:
		return fmt.Errorf("%s: names along with all; want one or the other", field)
	case len(names) > secretsv1.MaxNames:
		return fmt.Errorf("%s.names: %d of them; at most %d", field, len(names), secretsv1.MaxNames)
	}
	seen := make(map[string]struct{}, len(names))
	for _, name := range names {
		if name == "" {
			return fmt.Errorf("%s.names: an empty name", field)
		}
		if _, twice := seen[name]; twice {
			return fmt.Errorf("%s.names: %q twice", field, name)
		}
		seen[name] = struct{}{}
	}
	return nil
}
