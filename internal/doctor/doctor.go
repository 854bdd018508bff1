// Package doctor examines a node on which the driver runs, or ought to, and says what
// to do about what it finds. It changes nothing, and shows no value.
package doctor

import (
	"context"
	"time"
)

// State is how a check ended.
type State string

// The states, from good to bad. Skipped is of what this set-up does not have.
const (
	OK      State = "ok"
	Skipped State = "skipped"
	Warning State = "warning"
	Failed  State = "failed"
)

// Finding is one line of the checked list.
type Finding struct {
	Check  string `json:"check"`
	State  State  `json:"state"`
	Detail string `json:"detail"`
	// Remedy is what to do; empty where nothing is wrong.
	Remedy string `json:"remedy,omitempty"`
}

// Node is what is examined. Paths are as this process sees them.
type Node struct {
	// Kernel is the release that uname tells; Swap whether any swap is on.
	Kernel string
	Swap   bool
	// DriverName is the CSI driver's.
	DriverName string
	// Driver asks at Endpoint, the CSI socket, and in RegistrationDir, kubelet's plugins_registry. The
	// fetcher, which sees neither, has none.
	Driver          Driver
	Endpoint        string
	RegistrationDir string
	// HealthAddress is where the driver answers probes; empty for nowhere.
	HealthAddress string
	// PodsDir is kubelet's directory of pods.
	PodsDir string
	Core    Core
}

// Driver asks the driver's sockets as kubelet does. It is a csi.Server, which the fetcher must not link.
type Driver interface {
	Live(ctx context.Context) error
	Registrable(ctx context.Context) error
}

// Core says how core is reached; an empty Address is no core.
type Core struct {
	Address, ServerName string
	CAFile              string
	CertFile, KeyFile   string
	TokenFile, Audience string
	Plaintext           bool
}

const (
	// patience bounds one check.
	patience = 5 * time.Second
	// expiresSoon is how long before a certificate ends it is worth a warning.
	expiresSoon = 14 * 24 * time.Hour
)

// Check makes findings of one thing.
type Check func(context.Context, Node) []Finding

// OfFetcher are those of what only the fetcher sees.
func OfFetcher() []Check { return []Check{readiness, clientCertificate, token, clock, core} }

// Examine makes the checks.
func Examine(ctx context.Context, node Node, checks []Check) []Finding {
	var findings []Finding
	for _, check := range checks {
		limited, cancel := context.WithTimeout(ctx, patience)
		findings = append(findings, check(limited, node)...)
		cancel()
	}
	return findings
}

// worst is the worst state among findings.
func worst(findings []Finding) State {
	worst := OK
	for _, finding := range findings {
		if finding.State == Failed || (finding.State == Warning && worst != Failed) {
			worst = finding.State
		}
	}
	return worst
}

func fine(check, detail string) []Finding { return []Finding{{check, OK, detail, ""}} }

func skipped(check, detail string) []Finding { return []Finding{{check, Skipped, detail, ""}} }

func warning(check, detail, remedy string) []Finding {
	return []Finding{{check, Warning, detail, remedy}}
}

func failed(check, detail, remedy string) []Finding {
	return []Finding{{check, Failed, detail, remedy}}
}
