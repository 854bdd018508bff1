package envshim

import (
	"fmt"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Notices that only the container can give; the driver's own are in the manifest.
const (
	noticeClash     = "already-set"
	noticeShellName = "no-shell-name"
)

// Report is what a probe of a volume found. It holds no values.
type Report struct {
	Dir        string    `json:"dir"`
	Generation uint64    `json:"generation"`
	Fetched    time.Time `json:"fetched"`
	Entries    []Finding `json:"entries"`
	// Identities are the pod's own at clouds.
	Identities []Identity `json:"identities,omitempty"`
	// Problems are what keeps a program from being started, or was required and is gone.
	Problems []string `json:"problems"`
}

// Finding is what a probe found about one entry that was asked for.
type Finding struct {
	Kind  layout.Kind  `json:"kind"`
	ID    string       `json:"id"`
	State layout.State `json:"state"`
	// Held is set on a delivered entry that cannot be had at present.
	Held *layout.Held `json:"held,omitempty"`
	Env  string       `json:"env,omitempty"`
	// File is the path below the volume, Version opaque, and Source and Rule where the value is
	// from and by which rule of that, for a person.
	File    string `json:"file,omitempty"`
	Version string `json:"version,omitempty"`
	Source  string `json:"source,omitempty"`
	Rule    string `json:"rule,omitempty"`
	// Size is that of the environment string, in bytes, with name and NUL.
	Size int `json:"size,omitempty"`
	// Grade is of connections whose type the driver's policy knows.
	Grade   *layout.Grade   `json:"grade,omitempty"`
	Notices []layout.Notice `json:"notices,omitempty"`
}

// IsDelivered tells whether the volume shows the entry.
func (f Finding) IsDelivered() bool { return f.State == layout.Delivered }

// Probe tells whether a program could be started in this process with what the volume
// at dir holds, and what is worth knowing about each entry.
func Probe(dir string, program Program) Report {
	report := Report{Dir: dir, Entries: []Finding{}, Problems: []string{}}
	snapshot, err := Read(dir)
	if err != nil {
		report.problem(err)
		return report
	}
	report.Generation, report.Fetched = snapshot.Manifest.Generation, snapshot.Manifest.Fetched
	report.findings(snapshot, Differing(program.Environ, snapshot.Entries))
	found, faults := snapshot.probeIdentities(dir, time.Now())
	report.Identities = found
	report.problem(faults...)
	snapshot, _ = snapshot.Beside(program.Environ)
	carried, _ := snapshot.Environment(NoBackend)
	report.problem(Faults(carried)...)
	if environ, err := Merge(program.Environ, carried, false); err == nil {
		program.Environ = environ
		report.problem(CurrentLimits().Faults(program)...)
	}
	return report
}

func (r *Report) problem(faults ...error) {
	for _, fault := range faults {
		r.Problems = append(r.Problems, fault.Error())
	}
}

func (r *Report) findings(snapshot Snapshot, differing []string) {
	delivered := snapshot.Entries
	for _, entry := range snapshot.Manifest.Entries {
		found := Finding{
			Kind: entry.Kind, ID: entry.ID, State: entry.State, Held: entry.Held, Env: entry.Env, File: entry.File,
			Version: entry.Version, Source: entry.Source, Rule: entry.Rule, Grade: entry.Grade, Notices: slices.Clone(entry.Notices),
		}
		switch {
		case entry.State == layout.Delivered:
			found.Size = delivered[0].size()
			found.remark(slices.Contains(differing, entry.Env))
			delivered = delivered[1:]
		case entry.Required:
			r.problem(fmt.Errorf("%s %q is %s and required: it was withdrawn", entry.Kind, entry.ID, entry.State))
		}
		r.Entries = append(r.Entries, found)
	}
}

func (f *Finding) remark(differs bool) {
	if differs {
		f.Notices = append(f.Notices, layout.Notice{Code: noticeClash,
			Message: "already set to something else here; 'agent exec' replaces it"})
	}
	if !isShellName(f.Env) {
		f.Notices = append(f.Notices, layout.Notice{Code: noticeShellName,
			Message: "dash and busybox sh do not hand this name on; start the program itself, or use bash"})
	}
}
