package export

import "github.com/leoflow/secrets-csi/pkg/secret"

// readVariable takes the value out of the object that an export writes for a variable
// with a description. Every version from 3.0 on, the first to write such objects, gives
// them these two keys and no other.
//
// Any other object is a value itself, with a key "value" too: that is what it means in an
// export of 2.x, which wraps nothing, and of 3.0 to 3.2, which wrap what is described
// alone. From 3.0 on, Airflow's own import would store what stands under "value" and drop
// the rest without a word.
func readVariable(entry member) (Variable, error) {
	value := entry.value
	variable := Variable{Key: entry.key, Line: entry.line}
	if inner, wrapped := value.described(); wrapped {
		value = inner
	} else if _, ambiguous := value.member("value"); ambiguous {
		variable.Losses = []string{`it is an object with a key "value", and is served whole; "airflow variables import" from 3.0 on stores what stands under "value" alone: give it "description" too if that is meant`}
	}
	if err := value.firstFault(); err != nil {
		return Variable{}, err
	}
	stored := value.text
	if value.kind != text {
		var err error
		if stored, err = value.indentedJSON(); err != nil {
			return Variable{}, err
		}
	}
	variable.Value = secret.New(stored)
	return variable, nil
}

// described is the value within an object of a value and a description.
func (n node) described() (value node, is bool) {
	inner, hasValue := n.member("value")
	description, hasDescription := n.member("description")
	isText := description.value.kind == text || description.value.kind == null
	return inner.value, hasValue && hasDescription && isText && len(n.members) == 2
}
