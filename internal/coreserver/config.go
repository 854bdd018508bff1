// Package coreserver is the bundled core: a stateless server of both of core's
// contracts from export files, of all and of teams.
//
// The parts stand in packages of their own: store keeps the entries and their history,
// rule decides who may read them, gate lets connections and calls in, auth says who asks,
// seal opens what is encrypted, audit writes it all down. This package joins them behind gRPC.
package coreserver

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/metastore"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Contract says which services a core offers.
type Contract string

// The contracts, spelled as the flag's values.
const (
	Both    Contract = "both"
	Agent   Contract = "agent"   // the existing one alone, as cores in the field do
	Secrets Contract = "secrets" // ours alone
)

// Config is all that a Server needs. Rules, Authenticator, Audit and one of the export
// files, their folder or the database must be given; so must Cert and Key, unless Plaintext is set.
type Config struct {
	// Connections, Variables, Entries and Rules are files and folders; see package store.
	Connections, Variables, Entries, Rules string
	// Metastore is Airflow's database, which is read besides them; its URLFile is empty where there
	// is none.
	Metastore metastore.Config
	// AllowEmpty has core start on files without entries.
	AllowEmpty bool
	// SealKey opens sealed values; nil where there are none.
	SealKey *seal.Key
	// VersionSecret is what versions are derived from, so that replicas agree on them.
	// Where empty it is the seal key, else the TLS private key's file as first read.
	VersionSecret secret.Text

	Authenticator auth.Authenticator
	// Audit receives one JSON line for each decision. Nothing is handed out that could
	// not be written there.
	Audit io.Writer
	// CallerAuditRate is how many bytes a second the log takes of what one caller is given, in the long
	// run; audit.LongRun where 0.
	CallerAuditRate int
	Log             *slog.Logger
	// Tell, if set, tells whoever looks at a namespace that a file of its team is not in force.
	// It returns at once.
	Tell func(namespace, reason, message string)
	// TellCluster is the cluster that Tell tells, as Authenticator calls it where there are several.
	TellCluster string
	// Observer is told of what happens; nil for nobody.
	Observer Observer
	// Memory is what core may take, in bytes: what it answers at once is reckoned from it.
	// 0 where nobody knows.
	Memory int64
	// MaxConnections bounds the connections in all, and MaxPeerConnections those of one
	// address; see gate.Limits.
	MaxConnections, MaxPeerConnections int

	// Cert and Key are PEM files and read anew when they change, as is ClientCA, which
	// makes client certificates possible.
	Cert, Key, ClientCA string
	// Pair, if set, is the certificate and its key as PEM in the place of Cert and Key. It is
	// asked again at each Reload.
	Pair func() (certificate []byte, key secret.Text)
	// NodeNames are the certificate names that may Watch; any, where empty.
	NodeNames rule.Patterns
	// NodeServiceAccounts may Watch by their tokens, which Authenticator must take.
	// Without them and without ClientCA there is no Watch.
	NodeServiceAccounts []rule.Subject
	// NodeBinding is BindingAuto where empty.
	NodeBinding Binding
	// ScopedWatch refuses a Watch that asks for all names, as that of older drivers does; they poll.
	ScopedWatch bool
	// Plaintext leaves TLS out. It works on loopback addresses only.
	Plaintext bool

	// Contract is Both where empty.
	Contract Contract
	// LegacyURIs prints connection URIs in the existing contract as cores in the field
	// do, underscores in schemes included. It is there to test clients against them.
	LegacyURIs bool

	// WatchAge is how long a watch lasts at most until the node has to show again that it is
	// one. Heartbeat is how often a silent Watch says that it lives. Poll is how often files
	// are read though nothing told of a change. Grace is how long calls in flight may
	// take once the server stops. Each has a default.
	WatchAge, Heartbeat, Poll, Grace time.Duration
	// Now is the clock of audit records and of what is told of files; time.Now where nil.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.Contract == "" {
		c.Contract = Both
	}
	if c.NodeBinding == "" {
		c.NodeBinding = BindingAuto
	}
	if len(c.NodeNames) == 0 {
		c.NodeNames = rule.Patterns{"*"}
	}
	if c.CallerAuditRate == 0 {
		c.CallerAuditRate = audit.LongRun
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observer == nil {
		c.Observer = unobserved{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.WatchAge = orDefault(c.WatchAge, time.Hour)
	c.Heartbeat = orDefault(c.Heartbeat, 30*time.Second)
	c.Poll = orDefault(c.Poll, 10*time.Second)
	c.Grace = orDefault(c.Grace, 10*time.Second)
	return c
}

func orDefault(given, otherwise time.Duration) time.Duration {
	if given > 0 {
		return given
	}
	return otherwise
}

// waysToWatch tells a stranger what a node has to show.
func (c Config) waysToWatch() string {
	const certificate, account = "a client certificate of core's client CA", "the token of a node's service account"
	switch {
	case c.ClientCA == "":
		return account
	case len(c.NodeServiceAccounts) == 0:
		return certificate
	default:
		return certificate + " or " + account
	}
}

func (c Config) validate() error {
	switch {
	case c.Contract != Both && c.Contract != Agent && c.Contract != Secrets:
		return fmt.Errorf("contract %q is not known; want %s, %s or %s", c.Contract, Both, Agent, Secrets)
	case c.Connections == "" && c.Variables == "" && c.Entries == "" && c.Metastore.URLFile == "":
		return errors.New("nothing to serve: neither connections nor variables nor a folder of entries nor a database")
	case c.Rules == "":
		return errors.New("no rules: without a file of them everybody would be denied everything")
	case c.Authenticator == nil:
		return errors.New("no authenticator: core would not know who asks")
	case c.Audit == nil:
		return errors.New("no audit log: nothing may be handed out unrecorded")
	case c.CallerAuditRate < 0:
		return errors.New("the rate of a caller's audit records is below 0")
	}
	return c.validateTransport()
}

func (c Config) validateTransport() error {
	switch {
	case c.Plaintext && (c.Pair != nil || c.Cert != "" || c.Key != "" || c.ClientCA != ""):
		return errors.New("plaintext and certificates exclude each other")
	case !c.Plaintext && c.Pair == nil && (c.Cert == "" || c.Key == ""):
		return errors.New("no certificate and key: core speaks TLS")
	case c.MaxConnections < 0 || c.MaxPeerConnections < 0:
		return errors.New("a number of connections is below 0")
	case c.NodeBinding != BindingAuto && c.NodeBinding != BindingRequired && c.NodeBinding != BindingOff:
		return fmt.Errorf("node binding %q is not known; want %s, %s or %s", c.NodeBinding, BindingAuto, BindingRequired, BindingOff)
	case c.NodeBinding == BindingRequired && c.ClientCA == "" && len(c.NodeServiceAccounts) == 0:
		return errors.New("node binding is required, and core could know no driver: it has neither a client CA nor service accounts of nodes")
	}
	return nil
}
