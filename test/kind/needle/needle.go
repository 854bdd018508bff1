// Package needle searches for secrets where none belongs.
package needle

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"slices"
)

// Text is a needle to plant in a secret. It is made of letters and digits alone, so that no
// encoding of texts changes it.
func Text() string { return "needle" + rand.Text() }

// Search notes which needles are in the content of a place. A needle's value in the map says
// where it was planted, and found has the places by that. The API shows Secrets in base64,
// where a text reads in three ways, depending on where it begins.
func Search(place string, content []byte, needles map[string]string, found map[string][]string) {
	for needle, where := range needles {
		forms := [][]byte{[]byte(needle)}
		for shift := range 3 {
			encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), needle...))
			forms = append(forms, []byte(encoded[4:len(encoded)-4])) // its ends depend on the neighbours
		}
		holds := func(form []byte) bool { return bytes.Contains(content, form) }
		if slices.ContainsFunc(forms, holds) && !slices.Contains(found[where], place) {
			found[where] = append(found[where], place)
		}
	}
}
