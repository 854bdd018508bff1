// Package policy decides which credential of a connection is used, before anything
// is rendered: keyless first, references resolved under the pod's own identity, keys
// stored in core last and with a notice. By the time an Airflow hook sees the
// connection it holds only fields the hook knows.
package policy

import (
	"context"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Processor rewrites one connection. It must not change conn's pointees; it replaces
// them. An error fails that connection and no other; it names the field and the
// remedy and holds no value.
type Processor interface {
	Process(ctx context.Context, conn airflow.Connection, resolve Resolve) (Outcome, error)
}

// Outcome is the connection to deliver and what the operator should know about it.
type Outcome struct {
	Connection airflow.Connection
	// Grade is that of the connection as it was stored; its State is empty where no
	// processor knew the connection's type.
	Grade   Grade
	Notices []Notice
}

// Notice is a remark on an entry for the manifest, the log and the pod's events.
type Notice struct {
	// Code is stable and short, such as "key-stored-in-core".
	Code string
	// Message is a sentence for a person, without a value.
	Message string
}

// Reference points at a secret in a cloud's secret manager.
type Reference struct {
	// Cloud is "gcp", "aws" or "azure".
	Cloud string
	// Name is the secret's name, ARN or resource name, as the user wrote it.
	Name string
	// Location is the project (GCP; PROJECT/locations/REGION for a regional secret), region
	// (AWS) or vault URL (Azure).
	Location string
	// Version is empty for the latest.
	Version string
	// Role is the ARN of the AWS role to fetch it under, where the connection names
	// one; otherwise the service account's annotation decides.
	Role string
}

// Resolve fetches a reference under the identity of the pod it was bound to.
type Resolve func(ctx context.Context, ref Reference) (secret.Text, error)

// Chain runs processors in order, each on the outcome of the one before. The zero
// value delivers connections as they are.
type Chain []Processor

// Process implements Processor.
func (c Chain) Process(ctx context.Context, conn airflow.Connection, resolve Resolve) (Outcome, error) {
	out := Outcome{Connection: conn}
	for _, processor := range c {
		next, err := processor.Process(ctx, out.Connection, resolve)
		if err != nil {
			return Outcome{}, err
		}
		out.Connection = next.Connection
		if next.Grade.State != "" {
			out.Grade = next.Grade
		}
		out.Notices = append(out.Notices, next.Notices...)
	}
	return out, nil
}
