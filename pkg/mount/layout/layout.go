// Package layout is the on-disk contract of a volume, shared by the driver that
// writes it and the agent that reads it:
//
//	connections/<conn_id>        the value of AIRFLOW_CONN_<CONN_ID>
//	variables/<key>              the value of AIRFLOW_VAR_<KEY>
//	airflow/connections.json     for Airflow's LocalFilesystemBackend
//	airflow/variables.json
//	identity/                    where a connection goes keyless: the pod's own token for that cloud
//	                             (CLOUD.token), and a configuration without secrets
//	manifest.json                what is here, without values
//
// Everything stands in a directory that the link "..data" names. The link is replaced
// in one rename, so whoever opens "..data" once and reads beneath that handle sees one
// generation, whole. "..data" present means complete. The generation before is then
// deleted: a reader to whom anything goes missing, "..data" itself while it is being
// opened included, starts again.
package layout

import (
	"slices"
	"time"
)

// Names at the root of a volume.
const (
	DataLink        = "..data"
	DataLinkTemp    = "..data_tmp"
	ConnectionsDir  = "connections"
	VariablesDir    = "variables"
	AirflowDir      = "airflow"
	ConnectionsJSON = AirflowDir + "/connections.json"
	VariablesJSON   = AirflowDir + "/variables.json"
	ManifestFile    = "manifest.json"
)

// DefaultDir is where pods are told to mount a volume, and where configurations look for its files.
const DefaultDir = "/var/run/leoflow/secrets"

// Schema is the version of the manifest's format that this code writes. A reader
// refuses a higher one.
const Schema = 1

// Manifest describes one generation. It holds no values.
type Manifest struct {
	Schema int `json:"schema"`
	// Generation counts the swaps of this volume, from 1.
	Generation uint64 `json:"generation"`
	// Fetched is when the fetch that made this generation was answered. While the
	// content stays the same nothing is rewritten; the manifest file's own
	// modification time then tells when that was last confirmed.
	Fetched time.Time `json:"fetched"`
	// StaleAfter is how many seconds after it was last confirmed a generation is to be
	// taken for stale. A reader can tell by itself, also when there is no driver left to
	// say so; 0 if it was not said.
	StaleAfter int64 `json:"stale_after,omitempty"`
	// Offline is set if the provider could not be asked when the volume was made, and the
	// content is what the node was given before for another pod like this one.
	Offline bool    `json:"offline,omitempty"`
	Entries []Entry `json:"entries"`
	// Identities are the pod's own at clouds, one at most for each, where a connection goes without
	// credentials.
	Identities []Identity `json:"identities,omitempty"`
}

// Entry describes one entry that was asked for.
type Entry struct {
	Kind Kind `json:"kind"`
	// ID is the conn_id or variable key as the user wrote it.
	ID string `json:"id"`
	// State is Delivered, or why it was not.
	State State `json:"state"`
	// Held is set on a delivered entry that cannot be had at present: its bytes are those
	// that were delivered before.
	Held *Held `json:"held,omitempty"`
	// Required is set for an entry that is required and cannot be had: it was withdrawn
	// while the pod ran, or it is delivered and too long for an environment.
	Required bool `json:"required,omitempty"`
	// Env is the environment variable's name; empty unless delivered.
	Env string `json:"env,omitempty"`
	// File is the path of the value below the volume; empty unless delivered.
	File string `json:"file,omitempty"`
	// Version is opaque and differs whenever the value does.
	Version string `json:"version,omitempty"`
	// Source is the provider that the value came from.
	Source string `json:"source,omitempty"`
	// Rule is what the source's rule is called that lets the pod have the entry; empty from a
	// source that does not tell. It is for a person.
	Rule string `json:"rule,omitempty"`
	// Grade is of connections whose type the policy knows.
	Grade   *Grade   `json:"grade,omitempty"`
	Notices []Notice `json:"notices,omitempty"`
	// Identity is the cloud at which the pod's own identity stands for the connection's credentials.
	Identity string `json:"identity,omitempty"`
}

// Grade is what can be said of a connection's credential without trying it.
type Grade struct {
	// State is "valid", "runtime" (decided when the task runs) or "broken".
	State  string `json:"state"`
	Reason string `json:"reason"`
}

// Held says of an entry since when it could not be had, and why not. A reader that does
// not know the field takes the entry for delivered, which it is.
type Held struct {
	Since time.Time `json:"since"`
	Why   string    `json:"why"`
}

// Codes of notices by which a reader acts. An entry that is not delivered may have one more
// whose code is its state; see Entry.Reason.
const (
	// NoticeExtraIsText: the connection is not in ConnectionsJSON, and only an
	// environment can carry it.
	NoticeExtraIsText = "extra-is-text"
	// NoticeTooLong: no environment can carry the entry.
	NoticeTooLong = "too-long-for-env"
	// NoticeNoIdentity: of a connection that goes without credentials, why the pod's own identity does
	// not stand for them.
	NoticeNoIdentity = "no-identity"
	// NoticeBadIdentity: the same, where somebody said in vain which identity it is.
	NoticeBadIdentity = "bad-identity"
)

// Name names the entry.
func (e Entry) Name() Name { return Name{e.Kind, e.ID} }

// Has tells whether the entry has a notice of this code.
func (e Entry) Has(code string) bool {
	return slices.ContainsFunc(e.Notices, func(n Notice) bool { return n.Code == code })
}

// Reason says why the entry is not delivered, or why it is held; it may be empty.
func (e Entry) Reason() string {
	if e.Held != nil {
		return e.Held.Why
	}
	for _, notice := range e.Notices {
		if notice.Code == string(e.State) {
			return notice.Message
		}
	}
	return ""
}

// AirflowFile is the file for Airflow's LocalFilesystemBackend that entries of the kind
// stand in; empty for a kind that there is not.
func AirflowFile(kind Kind) string {
	switch kind {
	case Connection:
		return ConnectionsJSON
	case Variable:
		return VariablesJSON
	}
	return ""
}

// Notice is a remark on an entry, without a value.
type Notice struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}
