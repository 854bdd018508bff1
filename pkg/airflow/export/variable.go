package export

import "github.com/leoflow/secrets-csi/pkg/secret"

// readVariable takes the value out of the object that an export writes for a variable
// with a description. As for Airflow, any object that has a "value" is such a one.
func readVariable(entry member) (Variable, error) {
	value := entry.value
	if inner, found := value.member("value"); found && value.kind == object {
		value = inner.value
	}
	if err := value.firstFault(); err != nil {
		return Variable{}, err
	}
	stored, err := value.text, error(nil)
	if value.kind != text {
		stored, err = value.indentedJSON()
	}
	if err != nil {
		return Variable{}, err
	}
	return Variable{Key: entry.key, Line: entry.line, Value: secret.New(stored)}, nil
}
