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
	case len(request.GetCallers()) > maxCallers:
		return fmt.Errorf("callers: %d of them; at most %d", len(request.GetCallers()), maxCallers)
	case !asks(connections) && !asks(variables):
		return errors.New("connections, variables: nothing is asked for")
	}
	if err := checkSelection("connections", connections); err != nil {
		return err
	}
	return checkSelection("variables", variables)
}

func asks(selection *secretsv1.Selection) bool {
	return selection.GetAll() || len(selection.GetNames()) > 0
}

func checkSelection(field string, selection *secretsv1.Selection) error {
	names := selection.GetNames()
	switch {
	case selection.GetAll() && len(names) > 0:
		return fmt.Errorf("%s: names along with all; want one or the other", field)
	case len(names) > maxNames:
		return fmt.Errorf("%s.names: %d of them; at most %d", field, len(names), maxNames)
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
