package policy

import "github.com/leoflow/secrets-csi/pkg/airflow"

// Grade is what can be said about a connection's credential by looking at it, without
// a network.
type Grade struct {
	State State `json:"state"`
	// Reason is a sentence for a person, without a value.
	Reason string `json:"reason"`
}

// State is one of three grades.
type State string

// The grades, spelled as in the manifest.
const (
	// Valid: nothing is missing and nothing contradicts itself.
	Valid State = "valid"
	// Runtime: whether it works is decided when the task runs.
	Runtime State = "runtime"
	// Broken: it cannot work, or would work under an identity that nobody meant.
	Broken State = "broken"
)

func valid(reason string) Grade   { return Grade{Valid, reason} }
func runtime(reason string) Grade { return Grade{Runtime, reason} }
func broken(reason string) Grade  { return Grade{Broken, reason} }

// Probe grades a connection as it is stored, before any reference is resolved.
func Probe(conn airflow.Connection) Grade {
	cloud := cloudOf(conn.Type)
	if cloud == nil {
		return probeUnserved(conn)
	}
	draft, err := begin(cloud, conn)
	if err != nil {
		return broken(err.Error())
	}
	choice, err := cloud.choose(draft)
	if err != nil {
		return broken(err.Error())
	}
	return choice.grade
}

func probeUnserved(conn airflow.Connection) Grade {
	if err := refuseUnserved(conn); err != nil {
		return broken(err.Error())
	}
	return valid("no cloud credential")
}
