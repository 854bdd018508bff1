package sealfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
)

// rewriteJSON replaces texts where they stand, so that order, spacing and everything
// else survives. The content is known to be a JSON object.
func rewriteJSON(content []byte, sealed map[spot]string) ([]byte, error) {
	r := jsonRewriter{content: content, sealed: sealed}
	err := r.members(0, int64(len(content)), func(id string, from, to int64) error {
		if r.replace(spot{id, seal.Whole}, from, to) || content[from] != '{' {
			return nil
		}
		return r.members(from, to, func(field string, from, to int64) error {
			r.replace(spot{id, field}, from, to)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("rewriting JSON: %w", err)
	}
	if r.replaced != len(sealed) {
		return nil, errors.New("rewriting JSON: a value to be sealed was not found where it was read")
	}
	return append(r.out, content[r.copied:]...), nil
}

type jsonRewriter struct {
	content  []byte
	sealed   map[spot]string
	out      []byte
	copied   int64
	replaced int
}

func (r *jsonRewriter) replace(at spot, from, to int64) bool {
	text, found := r.sealed[at]
	if !found {
		return false
	}
	r.out = append(r.out, r.content[r.copied:from]...)
	r.out = append(append(append(r.out, '"'), text...), '"') // base64 needs no escape
	r.copied = to
	r.replaced++
	return true
}

// members visits the values of the object that content holds from and to, in order.
func (r *jsonRewriter) members(from, to int64, visit func(key string, from, to int64) error) error {
	decoder := json.NewDecoder(bytes.NewReader(r.content[from:to]))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		end := from + decoder.InputOffset()
		if err := visit(fmt.Sprint(key), end-int64(len(value)), end); err != nil {
			return err
		}
	}
	return nil
}
