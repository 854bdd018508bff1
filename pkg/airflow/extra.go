package airflow

import (
	"strings"

	"github.com/leoflow/secrets-csi/internal/jsontext"
)

const surrogateReason = "holds half of a surrogate pair, which is no character; Airflow stores none, and \"isn't defined\" is all that it says"

// readExtra returns the JSON object that an extra is, if it is one. Any text is good but
// what no version of Airflow stores, and what begins as JSON and for a mistake in it is
// none: as text, no hook could use it. The fault completes `field "extra": …`.
func readExtra(text string) (object jsontext.Item, isObject bool, fault string) {
	if text == "" {
		return object, false, ""
	}
	object, err := jsontext.Parse([]byte(text))
	isJSON := err == nil
	switch {
	case isJSON && object.HasLoneSurrogate():
		fault = surrogateReason
	case !isJSON && strings.IndexAny(strings.TrimSpace(text), "{[") == 0:
		fault = "begins as JSON and is none; correct it"
	}
	return object, isJSON && object.IsObject(), fault
}

// HasPlainExtra says whether the extra is text that is no JSON object. Airflow 2 takes
// such a connection with a warning, and so does the worker of Airflow 3; what else reads
// connections in Airflow 3, its file backend among it, refuses it.
func (c Connection) HasPlainExtra() bool {
	_, isObject, _ := readExtra(revealed(c.Extra))
	return revealed(c.Extra) != "" && !isObject
}

// canonicalExtra makes an object canonical, see readExtra.
func canonicalExtra(text string) (canonicalText, fault string) {
	object, isObject, fault := readExtra(text)
	if fault != "" || !isObject {
		return text, fault
	}
	return canonical(object), ""
}

// canonical gives an extra one text, whichever form it came in.
func canonical(object jsontext.Item) string {
	size := len(object.Value)
	return string(object.AppendCompact(make([]byte, 0, size+size/4)))
}
