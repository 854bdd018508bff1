package coreserver

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	// ticketLife is how long a ticket shows anything: a node that has had no token of a subject
	// for so long is not told of what that one may read.
	ticketLife = 24 * time.Hour
	timeBytes  = 8
)

// tickets makes and reads tickets. What they say stands in them, so that core keeps nothing and
// every replica takes those of the others.
type tickets struct{ key []byte }

func newTickets(shared secret.Text) (tickets, error) {
	key, err := hkdf.Key(sha256.New, []byte(shared.Reveal()), nil, "leoflow core watch tickets v1", sha256.Size)
	if err != nil {
		return tickets{}, fmt.Errorf("deriving the key of watch tickets: %w", err)
	}
	return tickets{key}, nil
}

// about spells a subject as a ticket has it.
type about struct {
	Namespace      string `json:"ns,omitempty"`
	ServiceAccount string `json:"sa,omitempty"`
	Tenant         string `json:"tenant,omitempty"`
	DAG            string `json:"dag,omitempty"`
	Direct         bool   `json:"direct,omitempty"`
}

// give makes a ticket for the node that holder names.
func (t tickets) give(subject rule.Subject, holder, revision string, now time.Time) (*secretsv1.Ticket, error) {
	text, err := json.Marshal(about(subject))
	if err != nil {
		return nil, fmt.Errorf("writing a watch ticket: %w", err)
	}
	at := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	return &secretsv1.Ticket{About: text, Proof: append(at, t.seal(text, at, holder)...), Revision: revision}, nil
}

// read is the subject of a ticket; false where it is none of this node's, or too old. One that is
// from the future was given before core's clock was set back, and counts.
func (t tickets) read(ticket *secretsv1.Ticket, holder string, now time.Time) (rule.Subject, bool) {
	text, proof := ticket.GetAbout(), ticket.GetProof()
	if len(proof) < timeBytes || !hmac.Equal(proof[timeBytes:], t.seal(text, proof[:timeBytes], holder)) {
		return rule.Subject{}, false
	}
	given := time.Unix(int64(binary.BigEndian.Uint64(proof)), 0)
	var known about
	if now.Sub(given) > ticketLife || json.Unmarshal(text, &known) != nil {
		return rule.Subject{}, false
	}
	return rule.Subject(known), true
}

func (t tickets) seal(text, at []byte, holder string) []byte {
	mac := hmac.New(sha256.New, t.key)
	for _, part := range [][]byte{at, []byte(holder), text} {
		_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = mac.Write(part)
	}
	return mac.Sum(nil)
}

// holder names the node that a ticket is good for: every part of what it shows of itself. Where there is no
// driver, it is the pod or the task instance.
func (d driver) holder() string {
	name := ""
	if len(d.names) > 0 {
		name = d.names[0]
	}
	if own := d.direct; own != nil {
		return fmt.Sprintf("direct %q %q %q %q %d", own.Cluster, own.PodUID, own.Subject, own.Run, own.Try)
	}
	return fmt.Sprintf("%q %q %q", d.cluster, d.node, name)
}
