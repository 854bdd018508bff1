// Package csitest makes volumes as authors write them, for whoever judges them before the driver does.
package csitest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/leoflow/secrets-csi/internal/csi"
)

// Volume is what stands under volumes[].csi of a pod.
type Volume struct {
	FSType     *string
	ReadOnly   *bool
	Attributes map[string]string
}

// Check is what the driver says to it.
func (v Volume) Check() error {
	var fsType string
	var readOnly bool
	if v.FSType != nil {
		fsType = *v.FSType
	}
	if v.ReadOnly != nil {
		readOnly = *v.ReadOnly
	}
	return csi.Check(fsType, readOnly, v.Attributes, []string{"core", "vault", "file"})
}

// Fuzzed is a volume near the edge of what the driver takes.
func Fuzzed(r *rand.Rand) Volume {
	pick := func(texts ...string) string { return texts[r.IntN(len(texts))] }
	id := func() string {
		if r.IntN(2) == 0 {
			return fmt.Sprintf("good_%d%s", r.IntN(100), pick("", "", "?", "@vault", "@core?"))
		}
		text := pick("warehouse", "a", "région", "Ⅷ", "my-conn.a", "x:y", "a b", "a ", "a*", "", "*", "a=b", "sp\tace", "\u0085", "b\u00a0", strings.Repeat("é", 249+r.IntN(3)), "a@b", `"q"`, "{a}", "pass", "pāssword=1", "PASSWORD=", `back\slash`, "a'b", "٣", "e\u0301", "\U0001F600")
		return pick("", "", " ", "\t", "\u2003") + text + pick("", "", "", "?", "??", "?@vault", "@vault", "@nosuch", "@vault?", "@", " ?", "://") + pick("", "", " ", "\u200b")
	}
	list := func() string {
		if r.IntN(8) == 0 {
			return pick("*", " * ", "", " ", "*?", "\u00a0", "*,")
		}
		var items []string
		for range 1 + r.IntN(3) {
			items = append(items, id())
		}
		return strings.Join(items, ",")
	}
	w := Volume{Attributes: map[string]string{}, ReadOnly: new(true)}
	for _, name := range []string{"connections", "variables"} {
		if r.IntN(3) > 0 {
			w.Attributes[name] = list()
		}
	}
	if r.IntN(4) == 0 { // as it may be, mostly: of what is asked for
		sources := strings.NewReplacer("@vault", "", "@core", "", "@nosuch", "")
		w.Attributes["keyless"] = pick(sources.Replace(w.Attributes["connections"]), sources.Replace(w.Attributes["connections"]), "*", "", list())
	}
	if r.IntN(6) == 0 {
		w.Attributes[pick("source", "format", "mode", "refresh", "Mode", "provider", "", "csi.storage.k8s.io/pod.name", "csi.storage.k8s.io", "conections", "é")] = pick("vault", "json", "0440", "5m", "", "x")
	}
	if r.IntN(12) == 0 {
		w.FSType = new(pick("", "tmpfs", "ext4", "TMPFS"))
	}
	if r.IntN(12) == 0 {
		w.ReadOnly = [...]*bool{nil, new(false), new(true)}[r.IntN(3)]
	}
	if r.IntN(20) == 0 {
		w.Attributes = nil
	}
	return w
}
