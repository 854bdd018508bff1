package main

import (
	"cmp"
	"fmt"

	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Codes of notices, beside those of policy and render.
const (
	codeInvalid   = "invalid"                // the entry is not delivered
	codeBroken    = "broken"                 // it is, and will not work
	codeLoss      = "lost-in-reading"        // it is delivered, and less than what is written
	codeReference = "fetched-when-delivered" // its value is not known here
)

// previewNotice is a remark on an entry, with the place where that stands.
type previewNotice struct {
	Kind    string `json:"kind"`
	ID      string `json:"id"`
	Code    string `json:"code"`
	Message string `json:"message"`
	File    string `json:"file"`
	Line    int    `json:"line"`
}

func newNotice(name entry.Name, at store.Origin, code, message string) previewNotice {
	return previewNotice{string(name.Kind), name.ID, code, message, at.File, at.Line}
}

func (n previewNotice) String() string {
	return fmt.Sprintf("%s:%d: %s %q: %s", n.File, n.Line, n.Kind, n.ID, n.Message)
}

// isProblem tells whether something has to be mended.
func (n previewNotice) isProblem() bool { return n.Code == codeInvalid || n.Code == codeBroken }

func compareNotices(a, b previewNotice) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Code, b.Code))
}
