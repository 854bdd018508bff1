package sealfile

import (
	"errors"
	"fmt"

	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/internal/jsontext"
)

// rewriteJSON replaces texts where they stand, so that order, spacing and everything
// else survives. The content is known to be a JSON object.
func rewriteJSON(content []byte, sealed map[spot]string) ([]byte, error) {
	r := jsonRewriter{content: content, sealed: sealed}
	if err := r.replaceAll(); err != nil {
		return nil, fmt.Errorf("rewriting JSON: %w", err)
	}
	if r.replaced != len(sealed) {
		return nil, errors.New("rewriting JSON: a value to be sealed was not found where it was read")
	}
	return append(r.out, content[r.copied:]...), nil
}

type jsonRewriter struct {
	content          []byte
	sealed           map[spot]string
	out              []byte
	copied, replaced int
}

func (r *jsonRewriter) replaceAll() error {
	whole, err := jsontext.Parse(r.content)
	if err != nil {
		return err
	}
	entries, err := whole.Members()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if r.replace(spot{e.Key, seal.Whole}, e.Item) || !e.IsObject() {
			continue
		}
		fields, err := e.Members()
		if err != nil {
			return err
		}
		for _, field := range fields {
			r.replace(spot{e.Key, field.Key}, field.Item)
		}
	}
	return nil
}

func (r *jsonRewriter) replace(at spot, value jsontext.Item) bool {
	text, found := r.sealed[at]
	if !found {
		return false
	}
	r.out = append(r.out, r.content[r.copied:value.Offset]...)
	r.out = append(append(append(r.out, '"'), text...), '"') // base64 needs no escape
	r.copied = value.Offset + len(value.Value)
	r.replaced++
	return true
}
