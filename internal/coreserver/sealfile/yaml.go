package sealfile

import (
	"bytes"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
)

// rewriteYAML replaces nodes of the tree and writes it anew: order and comments
// survive, spacing is normalised.
func rewriteYAML(content []byte, sealed map[spot]string) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("rewriting YAML: %w", err)
	}
	replaced := 0
	if len(document.Content) > 0 {
		replaced = replaceNodes(document.Content[0], sealed)
	}
	if replaced != len(sealed) {
		return nil, errors.New("rewriting YAML: a value to be sealed was not found where it was read; write the file without anchors and merges")
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, fmt.Errorf("rewriting YAML: %w", err)
	}
	return out.Bytes(), nil
}

func replaceNodes(root *yaml.Node, sealed map[spot]string) (replaced int) {
	for id, value := range pairs(root) {
		if text, found := sealed[spot{id, seal.Whole}]; found {
			setText(value, text)
			replaced++
			continue
		}
		for field, value := range pairs(value) {
			if text, found := sealed[spot{id, field}]; found {
				setText(value, text)
				replaced++
			}
		}
	}
	return replaced
}

// pairs yields the keys and values of a mapping, and nothing of anything else.
func pairs(node *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		if node.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			if !yield(node.Content[i].Value, node.Content[i+1]) {
				return
			}
		}
	}
}

func setText(node *yaml.Node, text string) {
	*node = yaml.Node{
		Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: yaml.DoubleQuotedStyle,
		HeadComment: node.HeadComment, LineComment: node.LineComment, FootComment: node.FootComment,
	}
}
